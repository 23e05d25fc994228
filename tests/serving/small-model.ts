/** A model as large as the default run's, but for its vocabulary, with random weights. */
import { parseConfig } from "../../model/network/config.ts";
import { FULL_SIZE, qwen, TEXT } from "../model/pruned-model.ts";
import { writeRandomCheckpoint } from "../model/random-checkpoint.ts";

/** Writes it into a folder. */
export async function writeSmallModel(dir: string): Promise<void> {
  const vocabulary = qwen.prunedVocabulary(qwen.encode(TEXT), FULL_SIZE);
  const tokenizer = qwen.withVocabulary(vocabulary);
  const config = parseConfig({
    ...{ model_type: "steel", vocab_size: vocabulary.size, hidden_size: 128 },
    ...{ intermediate_size: 128, num_hidden_layers: 4, num_attention_heads: 4 },
    ...{ FFN_type: "softmoe_v3", mlp_type: "senet", n_experts: 6, mlp_div_ratio: 4 },
    ...{ max_position_embeddings: 256, eos_token_id: tokenizer.endOfDocument },
  }, "the small model");
  await writeRandomCheckpoint(dir, config, tokenizer.files(), { seed: 5, spread: 0.2 });
}
