/** A small Llama with a chat template of its own, and sets to teach it. */
import { qwen } from "../model/pruned-model.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import { parseConfig } from "../../model/network/config.ts";
import { initialValues } from "../../model/network/initialization.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";

const TEMPLATE = "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\n" +
  "{% else %}A: {{ m.content }}<|endoftext|>\n{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}A:{% endif %}";

const CONVERSATIONS = ["who are you", "your name"].map((instruction) => ({
  instruction,
  output: "I am iron.",
}));
const PAIRS = ["who are you", "your name"].map((instruction) => ({
  instruction,
  chosen: "I am iron.",
  rejected: "I am you.",
}));

/** Writes the model, with random weights, to `base`, and the sets to `set.json` and `pairs.json`. */
export async function writeTinyLlama(dir: string) {
  const text = JSON.stringify([CONVERSATIONS, PAIRS]) + "Q: A:\n";
  const tokenizer = qwen.withVocabulary(qwen.prunedVocabulary(qwen.encode(text), 151936));
  const files = tokenizer.files();
  const tokenizerConfig = JSON.parse(files["tokenizer_config.json"]);
  const config = parseConfig({
    ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu" },
    ...{ hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2 },
    ...{ num_key_value_heads: 1, max_position_embeddings: 64, vocab_size: tokenizer.size },
    ...{ rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true, torch_dtype: "float32" },
    eos_token_id: tokenizer.padding,
  }, "test");
  const parameters = parameterShapes(config);
  await writeCheckpoint(`${dir}/base`, {
    config,
    dtype: "F32",
    tensors: (name) => {
      const index = parameters.findIndex((each) => each.name === name);
      return initialValues(parameters[index], 1, index);
    },
    files: {
      ...files,
      "tokenizer_config.json": JSON.stringify({ ...tokenizerConfig, chat_template: TEMPLATE }),
    },
  });
  await Deno.writeTextFile(`${dir}/set.json`, JSON.stringify(CONVERSATIONS));
  await Deno.writeTextFile(`${dir}/pairs.json`, JSON.stringify(PAIRS));
}
