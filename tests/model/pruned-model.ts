/** A model as a training run with a pruned vocabulary leaves one. */
import { parseConfig } from "../../model/network/config.ts";
import { VOCABULARY_FILE } from "../../model/tokenizer/vocabulary.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";

export const FULL_SIZE = 151936;
export const TEXT = "静夜思\n唐·李白\n床前明月光，疑是地上霜。";
export const qwen = await qwenTokenizer();

/**
 * Writes a model of few tokens with random weights.
 *
 * @param keys of config.json, where they are to be others
 */
export async function writePruned(
  dir: string,
  tied: boolean,
  keys: Record<string, number> = {},
) {
  const vocabulary = qwen.prunedVocabulary(qwen.encode(TEXT), FULL_SIZE);
  const tokenizer = qwen.withVocabulary(vocabulary);
  const config = parseConfig({
    ...{ model_type: "steel", vocab_size: vocabulary.size + 13, hidden_size: 8 },
    ...{ intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2 },
    ...{ FFN_type: "softmoe_v3", mlp_type: "senet", n_experts: 2, mlp_div_ratio: 1 },
    ...{
      max_position_embeddings: 64,
      tie_word_embeddings: tied,
      eos_token_id: tokenizer.endOfDocument,
    },
    ...keys,
  }, "test");
  await writeRandomCheckpoint(dir, config, {
    ...tokenizer.files(),
    [VOCABULARY_FILE]: vocabulary.toJson(),
  }, { seed: 3, spread: 0.5 });
  return vocabulary;
}
