/** Configs as they are on the hub, of the families of other people's models. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import { type ModelConfig, parseConfig } from "../../model/network/config.ts";
import { initialValues } from "../../model/network/initialization.ts";
import type { Constant } from "../../model/network/layer.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { gpu, relativeError } from "../kernels/harness.ts";

const TINYLLAMA = {
  ...{ model_type: "llama", attention_bias: false, bos_token_id: 1, eos_token_id: 2 },
  ...{ hidden_act: "silu", hidden_size: 2048, intermediate_size: 5632, pretraining_tp: 1 },
  ...{ max_position_embeddings: 2048, num_attention_heads: 32, num_hidden_layers: 22 },
  ...{ num_key_value_heads: 4, rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10000.0 },
  ...{ tie_word_embeddings: false, torch_dtype: "float32", vocab_size: 32000 },
};

const LLAMA3 = {
  ...{ model_type: "llama", bos_token_id: 128000, eos_token_id: [128001, 128008, 128009] },
  ...{ hidden_act: "silu", hidden_size: 2048, head_dim: 64, intermediate_size: 8192 },
  ...{ max_position_embeddings: 131072, num_attention_heads: 32, num_hidden_layers: 16 },
  ...{ num_key_value_heads: 8, rms_norm_eps: 1e-5, rope_theta: 500000.0, vocab_size: 128256 },
  ...{ tie_word_embeddings: true, torch_dtype: "bfloat16", mlp_bias: false },
  rope_scaling: {
    ...{ factor: 32.0, high_freq_factor: 4.0, low_freq_factor: 1.0, rope_type: "llama3" },
    original_max_position_embeddings: 8192,
  },
};

const MISTRAL = {
  ...{ model_type: "mistral", hidden_act: "silu", hidden_size: 4096, intermediate_size: 14336 },
  ...{ max_position_embeddings: 32768, num_attention_heads: 32, num_hidden_layers: 32 },
  ...{ num_key_value_heads: 8, rms_norm_eps: 1e-5, rope_theta: 10000.0, sliding_window: 4096 },
  ...{ tie_word_embeddings: false, torch_dtype: "bfloat16", vocab_size: 32000 },
};

/** Each with the number of its parameters, as its page on the hub says. */
const PUBLISHED: [string, Record<string, unknown>, number][] = [
  ["TinyLlama 1.1B", TINYLLAMA, 1_100_048_384],
  ["Llama 3.2 1B", LLAMA3, 1_235_814_400],
  ["Mistral 7B", MISTRAL, 7_241_732_096],
  ["Gemma 2B", {
    ...{ model_type: "gemma", head_dim: 256, hidden_act: "gelu", hidden_size: 2048 },
    ...{ intermediate_size: 16384, max_position_embeddings: 8192, num_attention_heads: 8 },
    ...{ num_hidden_layers: 18, num_key_value_heads: 1, rms_norm_eps: 1e-6, vocab_size: 256000 },
    ...{ rope_scaling: null, rope_theta: 10000.0 },
  }, 2_506_172_416],
  ["Phi-2", {
    ...{ model_type: "phi", attention_dropout: 0.0, embd_pdrop: 0.0, hidden_act: "gelu_new" },
    ...{ hidden_size: 2560, intermediate_size: 10240, layer_norm_eps: 1e-5, resid_pdrop: 0.1 },
    ...{ max_position_embeddings: 2048, num_attention_heads: 32, num_hidden_layers: 32 },
    ...{ num_key_value_heads: 32, partial_rotary_factor: 0.4, qk_layernorm: false },
    ...{ rope_scaling: null, rope_theta: 10000.0, tie_word_embeddings: false, vocab_size: 51200 },
  }, 2_779_683_840],
  ["OLMo 1B", {
    ...{ model_type: "olmo", attention_bias: false, clip_qkv: null, hidden_act: "silu" },
    ...{ hidden_size: 2048, intermediate_size: 8192, max_position_embeddings: 2048 },
    ...{ num_attention_heads: 16, num_hidden_layers: 16, num_key_value_heads: 16 },
    ...{ rope_theta: 10000.0, tie_word_embeddings: true, vocab_size: 50304 },
  }, 1_176_764_416],
  ["OLMo 2 1B", {
    ...{ model_type: "olmo2", attention_bias: false, hidden_act: "silu", hidden_size: 2048 },
    ...{ intermediate_size: 8192, max_position_embeddings: 4096, num_attention_heads: 16 },
    ...{ num_hidden_layers: 16, num_key_value_heads: 16, rms_norm_eps: 1e-6, vocab_size: 100352 },
    ...{ rope_theta: 500000, tie_word_embeddings: false },
  }, 1_484_916_736],
  ["MiniCPM 2B", {
    ...{ model_type: "minicpm", hidden_act: "silu", hidden_size: 2304, intermediate_size: 5760 },
    ...{ max_position_embeddings: 4096, num_attention_heads: 36, num_hidden_layers: 40 },
    ...{ num_key_value_heads: 36, rms_norm_eps: 1e-5, rope_scaling: null, vocab_size: 122753 },
    ...{ scale_emb: 12, dim_model_base: 256, scale_depth: 1.4 },
  }, 2_724_880_896],
  ["Qwen2.5 0.5B", {
    ...{ model_type: "qwen2", attention_dropout: 0.0, hidden_act: "silu", hidden_size: 896 },
    ...{ intermediate_size: 4864, max_position_embeddings: 32768, max_window_layers: 24 },
    ...{ num_attention_heads: 14, num_hidden_layers: 24, num_key_value_heads: 2 },
    ...{ rms_norm_eps: 1e-6, rope_theta: 1000000.0, sliding_window: 32768, vocab_size: 151936 },
    ...{ tie_word_embeddings: true, use_mrope: false, use_sliding_window: false },
  }, 494_032_768],
  ["Qwen3 0.6B", {
    ...{ model_type: "qwen3", attention_bias: false, head_dim: 128, hidden_act: "silu" },
    ...{ hidden_size: 1024, intermediate_size: 3072, max_position_embeddings: 40960 },
    ...{ max_window_layers: 28, num_attention_heads: 16, num_hidden_layers: 28 },
    ...{ num_key_value_heads: 8, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 1000000 },
    ...{ sliding_window: null, tie_word_embeddings: true, use_sliding_window: false },
    vocab_size: 151936,
  }, 596_049_920],
];

PUBLISHED.push(
  ["Mixtral 8x7B", {
    ...{ model_type: "mixtral", attention_dropout: 0.0, hidden_act: "silu", hidden_size: 4096 },
    ...{ intermediate_size: 14336, max_position_embeddings: 32768, num_attention_heads: 32 },
    ...{ num_experts_per_tok: 2, num_hidden_layers: 32, num_key_value_heads: 8 },
    ...{ num_local_experts: 8, output_router_logits: false, rms_norm_eps: 1e-5 },
    ...{ rope_theta: 1000000.0, router_aux_loss_coef: 0.02, sliding_window: null },
    ...{ tie_word_embeddings: false, vocab_size: 32000 },
  }, 46_702_792_704],
  ["Qwen1.5 MoE A2.7B", {
    ...{ model_type: "qwen2_moe", attention_dropout: 0.0, decoder_sparse_step: 1 },
    ...{ hidden_act: "silu", hidden_size: 2048, intermediate_size: 5632, max_window_layers: 21 },
    ...{ max_position_embeddings: 8192, moe_intermediate_size: 1408, norm_topk_prob: false },
    ...{ num_attention_heads: 16, num_experts: 60, num_experts_per_tok: 4 },
    ...{ num_hidden_layers: 24, num_key_value_heads: 16, output_router_logits: false },
    ...{ rms_norm_eps: 1e-6, rope_theta: 1000000.0, router_aux_loss_coef: 0.001 },
    ...{ shared_expert_intermediate_size: 5632, sliding_window: 32768, vocab_size: 151936 },
    ...{ tie_word_embeddings: false, use_sliding_window: false },
  }, 14_315_784_192],
);

for (const [name, json, count] of PUBLISHED) {
  Deno.test(`${name} has ${count.toLocaleString("en")} parameters`, () => {
    const shapes = parameterShapes(parseConfig(json, "config.json"));
    assertEquals(shapes.reduce((sum, { shape }) => sum + sizeOf(shape), 0), count);
  });
}

function ropeOf({ layers: [{ attention }] }: ModelConfig): Float32Array {
  return (attention.tensors.rope as Constant).values();
}

Deno.test("rope is the same in older and newer keys", () => {
  const { rope_theta, rope_scaling, torch_dtype: dtype, ...rest } = LLAMA3;
  const { original_max_position_embeddings, ...scaling } = rope_scaling;
  const short = { max_position_embeddings: 64 };
  const older = ropeOf(parseConfig({ ...LLAMA3, ...short }, "older"));
  const rope_parameters = { ...scaling, rope_theta, original_max_position_embeddings };
  const newer = { ...rest, ...short, dtype, rope_parameters };
  assertEquals(ropeOf(parseConfig(newer, "newer")), older);
  const plain = ropeOf(parseConfig({ ...LLAMA3, ...short, rope_scaling: null }, "plain"));
  assert(relativeError(plain, older) > 1e-3);
  // Halves of a head's first 24 numbers are turned, whichever key says so.
  const partial = { ...TINYLLAMA, ...short, head_dim: 32 };
  const share = { partial_rotary_factor: 0.75 };
  const [own, nested] = [{ ...partial, ...share }, { ...partial, rope_parameters: share }]
    .map((json) => ropeOf(parseConfig(json, "partial")));
  assertEquals(own, nested);
  assertEquals(own.length, 64 * 24);
});

Deno.test("linear scaling turns a position as far as plain rope turns a share of it", () => {
  const json = { ...TINYLLAMA, max_position_embeddings: 9 };
  const plain = ropeOf(parseConfig(json, "plain"));
  const rope_scaling = { type: "linear", factor: 4.0 };
  const scaled = ropeOf(parseConfig({ ...json, rope_scaling }, "scaled"));
  assertEquals(scaled.subarray(8 * 64, 9 * 64), plain.subarray(2 * 64, 3 * 64));
});

Deno.test("which layers have a sliding window is the config's choice", () => {
  const windows = (json: Record<string, unknown>) =>
    parseConfig(json, "config.json").layers.map(({ attention }) => attention.window);
  const few = { num_hidden_layers: 3 };
  assertEquals(windows({ ...MISTRAL, ...few }), [4096, 4096, 4096]);
  assertEquals(windows({ ...MISTRAL, ...few, sliding_window: null }), Array(3).fill(undefined));
  const { sliding_window: _, ...unsaid } = MISTRAL;
  assertEquals(windows({ ...unsaid, ...few }), [4096, 4096, 4096]);
  // One that covers every sequence is none.
  assertEquals(windows({ ...MISTRAL, ...few, sliding_window: 32768 }), Array(3).fill(undefined));
  const [, qwen] = PUBLISHED.find(([name]) => name === "Qwen2.5 0.5B")!;
  const sliding = { ...qwen, ...few, use_sliding_window: true, sliding_window: 100 };
  assertEquals(windows({ ...sliding, max_window_layers: 1 }), [undefined, 100, 100]);
  const layer_types = ["sliding_attention", "full_attention", "sliding_attention"];
  assertEquals(windows({ ...sliding, layer_types }), [100, undefined, 100]);
  assertStringIncludes(
    assertThrows(() => windows({ ...qwen, ...few, layer_types }), UserError).message,
    `"full_attention" for every layer, as use_sliding_window is not true`,
  );
});

Deno.test("which layers are mixtures of experts is the config's choice", () => {
  const [, qwen] = PUBLISHED.at(-1)!;
  const mixtures = (json: Record<string, unknown>) =>
    parseConfig({ ...qwen, num_hidden_layers: 6, ...json }, "config.json").layers
      .flatMap(({ feedForward }, layer) => feedForward.routing ? [layer] : []);
  assertEquals(mixtures({}), [0, 1, 2, 3, 4, 5]);
  assertEquals(mixtures({ decoder_sparse_step: 2 }), [1, 3, 5]);
  assertEquals(mixtures({ decoder_sparse_step: 2, mlp_only_layers: [3] }), [1, 5]);
  assertThrows(() => mixtures({ mlp_only_layers: 3 }), UserError, "a list of numbers");
  assertThrows(() => mixtures({ num_experts_per_tok: 61 }), UserError, "at most 60");
});

Deno.test("what an architecture does not have is refused by its key", () => {
  const refused: [Record<string, unknown>, string][] = [
    [{ ...TINYLLAMA, hidden_act: "gelu" }, `"hidden_act" is "gelu"; expected "silu"`],
    [{ ...TINYLLAMA, mlp_bias: true }, `"mlp_bias" is true; expected false`],
    [{ ...TINYLLAMA, attention_dropout: 0.1 }, `"attention_dropout" is 0.1; expected 0`],
    [{ ...LLAMA3, rope_scaling: { rope_type: "llama3", factor: 8 } }, "expected low_freq_factor"],
    [{ ...TINYLLAMA, rope_scaling: { type: "yarn", factor: 8 } }, "are not supported"],
    [{ ...TINYLLAMA, rope_scaling: "yarn" }, `"rope_scaling" is "yarn"; expected a record`],
    [
      { ...TINYLLAMA, quantization_config: { quant_method: "awq", bits: 4 } },
      `"quantization_config" says that the weights are quantised ("awq")`,
    ],
    [{ ...TINYLLAMA, model_type: "gemma2" }, `"model_type" is "gemma2"; expected "qwen2" or`],
  ];
  for (const [json, expected] of refused) {
    const { message } = assertThrows(() => parseConfig(json, "x/config.json"), UserError);
    assertStringIncludes(message, "x/config.json: ");
    assertStringIncludes(message, expected);
  }
});

Deno.test("with a window, decoding through the cache gives the logits of a pass over the text", async () => {
  const sizes = {
    ...{ vocab_size: 50, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 2 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 64 },
  };
  const ids = Array.from({ length: 12 }, (_, i) => (7 * i) % 50);
  const modelWith = async (sliding_window: number | null) => {
    const config = parseConfig({ ...MISTRAL, ...sizes, sliding_window }, "config.json");
    const parameters = new Parameters(config);
    await parameters.load(
      gpu,
      // Larger than at the start of training, so that attention is no plain mean.
      (part, index) => initialValues(part, 1, index).map((value) => value * 10),
    );
    return new LanguageModel(gpu, parameters);
  };
  const [windowed, whole] = [await modelWith(4), await modelWith(null)];
  const ofLast = (all: Float32Array) => all.subarray((ids.length - 1) * 50);
  // Two layers see seven tokens: what is before them changes nothing, and the eighth does.
  const change = async (model: LanguageModel, place: number) => {
    const changed = ids.with(place, 49);
    return relativeError(ofLast(await model.logits([changed])), ofLast(await model.logits([ids])));
  };
  assertEquals(await change(windowed, 4), 0);
  assert(await change(windowed, 5) > 1e-4);
  assert(await change(whole, 4) > 1e-4);
  // Greedy continuations read the cache; each token is the likeliest of a pass over all before it.
  const text = ids.slice(0, 6);
  for await (const { id } of windowed.generate(text, { maxTokens: 6, stopIds: [] })) {
    const [next] = await windowed.nextLogits([text]);
    assertEquals(id, next.indexOf(Math.max(...next)));
    text.push(id);
  }
  assertEquals(text.length, 12);
  assertEquals([windowed.sharesPrefixes, whole.sharesPrefixes], [false, true]);
});
