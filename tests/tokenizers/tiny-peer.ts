import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { parseConfig } from "../../model/network/config.ts";
import { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { writeRandomCheckpoint } from "../model/random-checkpoint.ts";

/** Writes a small model of a family with random weights, which has this tokenizer and template. */
export async function writeTinyPeer(
  dir: string,
  model_type: string,
  tokenizerFiles: TokenizerFiles,
  template?: string,
): Promise<void> {
  const texts = tokenizerFiles.texts();
  const config = parseConfig({
    ...{ model_type, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1 },
    ...{ num_attention_heads: 2, num_key_value_heads: 1, head_dim: 8, eos_token_id: 2 },
    ...{ max_position_embeddings: 1024, vocab_size: new Tokenizer(tokenizerFiles).size },
  }, "test");
  await writeRandomCheckpoint(
    dir,
    config,
    template === undefined ? texts : { ...texts, "chat_template.jinja": template },
    { seed: 3, spread: 0.5 },
  );
}
