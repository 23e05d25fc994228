import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { configToJson, parseConfig } from "../../model/network/config.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";

const STEEL_1B = {
  architectures: ["Qwen2ForCausalLM"],
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  hidden_act: "silu",
  hidden_size: 1792,
  intermediate_size: 1792,
  max_position_embeddings: 32768,
  model_type: "qwen2",
  num_attention_heads: 32,
  num_hidden_layers: 18,
  num_key_value_heads: 32,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
  use_sliding_window: false,
  vocab_size: 151936,
  n_experts: 6,
  mlp_div_ratio: 4,
  FFN_type: "softmoe_v3",
  mlp_type: "senet",
  slots_per_expert: 1,
};
const { FFN_type: _, mlp_type: __, n_experts: ___, mlp_div_ratio: ____, ...QWEN2 } = STEEL_1B;

Deno.test("the published configuration is Table 1's billion-parameter model", () => {
  const config = parseConfig(STEEL_1B, "config.json");
  assertEquals(config.layers.length, 18);
  assertEquals(config.layers[0].attention.headDim, 56);
  assertEquals(config.eosIds, [151645]);
  const parameters = parameterShapes(config);
  const total = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  // Embedding and head; per layer q, k, v with biases and o; phi, scale and six experts; two norms.
  const attention = 4 * 1792 * 1792 + 3 * 1792;
  const feedForward = 1792 * 6 + 1 + 6 * 4 * 1792 * 448;
  assertEquals(total, 2 * 151936 * 1792 + 18 * (attention + feedForward + 2 * 1792) + 1792);
});

Deno.test("writing a configuration back loses nothing", () => {
  const odd = {
    ...STEEL_1B,
    eos_token_id: [151645],
    auto_map: { AutoConfig: "configuration_steel.SteelConfig" },
    rope_parameters: { rope_type: "default", rope_theta: 1000000.0 },
  };
  for (const json of [STEEL_1B, odd]) {
    assertEquals(configToJson(parseConfig(json, "config.json")), json);
  }
});

Deno.test("a changed value is written, and rope's base where the file keeps it", () => {
  const { rope_theta: _, ...rest } = STEEL_1B;
  const newer = { ...rest, rope_parameters: { rope_type: "default", rope_theta: 500000 } };
  const config = parseConfig(newer, "config.json");
  const json = configToJson({ ...config, vocabSize: 5000, eosIds: [7, 8] });
  assertEquals(json.vocab_size, 5000);
  assertEquals(json.eos_token_id, [7, 8]);
  const { rope_parameters, rope_theta } = json;
  assertEquals({ rope_parameters, rope_theta }, {
    rope_parameters: { rope_type: "default", rope_theta: 500000 },
    rope_theta: undefined,
  });
});

Deno.test("a plain Qwen2 configuration is a dense model", () => {
  const { num_key_value_heads: _, rope_theta: __, ...old } = QWEN2;
  const config = parseConfig({ ...old, tie_word_embeddings: true }, "config.json");
  assertEquals(config.layers[0].attention.keyValueHeads, 32);
  const shapes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  assertEquals(shapes.get("model.layers.17.mlp.gate_proj.weight"), [1792, 1792]);
  assertEquals(shapes.has("lm_head.weight"), false);
});

Deno.test("parameters have the published names and shapes", () => {
  const tiny = {
    ...STEEL_1B,
    vocab_size: 11,
    hidden_size: 12,
    intermediate_size: 9,
    num_hidden_layers: 1,
    num_attention_heads: 6,
    num_key_value_heads: 2,
    n_experts: 1,
    slots_per_expert: 2,
    mlp_div_ratio: 2,
  };
  const shapes = parameterShapes(parseConfig(tiny, "config.json"));
  assertEquals(Object.fromEntries(shapes.map(({ name, shape }) => [name, String(shape)])), {
    "model.embed_tokens.weight": "11,12",
    "model.layers.0.self_attn.q_proj.weight": "12,12",
    "model.layers.0.self_attn.q_proj.bias": "12",
    "model.layers.0.self_attn.k_proj.weight": "4,12",
    "model.layers.0.self_attn.k_proj.bias": "4",
    "model.layers.0.self_attn.v_proj.weight": "4,12",
    "model.layers.0.self_attn.v_proj.bias": "4",
    "model.layers.0.self_attn.o_proj.weight": "12,12",
    "model.layers.0.mlp.phi": "12,1,2",
    "model.layers.0.mlp.scale": "1",
    "model.layers.0.mlp.experts.0.gate_up_proj.weight": "4,12",
    "model.layers.0.mlp.experts.0.up_proj.weight": "4,12",
    "model.layers.0.mlp.experts.0.gate_down_proj.weight": "12,4",
    "model.layers.0.mlp.experts.0.down_proj.weight": "12,4",
    "model.layers.0.input_layernorm.weight": "12",
    "model.layers.0.post_attention_layernorm.weight": "12",
    "model.norm.weight": "12",
    "lm_head.weight": "11,12",
  });
  const dense = parameterShapes(
    parseConfig({ ...tiny, FFN_type: "raw", mlp_type: "raw" }, "config.json"),
  );
  const feedForward = dense.filter(({ name }) => name.includes(".mlp."));
  assertEquals(feedForward.map(({ name, shape }) => `${name} ${shape}`), [
    "model.layers.0.mlp.gate_proj.weight 4,12",
    "model.layers.0.mlp.up_proj.weight 4,12",
    "model.layers.0.mlp.down_proj.weight 12,4",
  ]);
});

Deno.test("a wrong value is refused with file, key, value and what was expected", () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ hidden_size: "1792" }, `"hidden_size" is "1792"; expected a whole number of at least 1`],
    [{ hidden_size: 1800 }, `"hidden_size" is 1800; expected a multiple of num_attention_heads`],
    [{ hidden_size: 32 * 7 }, `"hidden_size" is 224; expected an even number`],
    [{ head_dim: 55 }, `"head_dim" is 55; expected an even number`],
    [{ head_dim: 258 }, `"head_dim" is 258; expected a multiple of 4`],
    [{ head_dim: 260 }, `"head_dim" is 260; expected at most 256`],
    [{ num_key_value_heads: 5 }, `"num_key_value_heads" is 5; expected a divisor`],
    [{ num_hidden_layers: null }, `the key "num_hidden_layers" is missing`],
    [{ FFN_type: "softmoe_v2" }, `"FFN_type" is "softmoe_v2"; expected "softmoe_v3" or `],
    [{ mlp_type: undefined }, `the key "mlp_type" is missing; expected "senet" or "raw"`],
    [{ mlp_div_ratio: 2000 }, `"mlp_div_ratio" is 2000; expected at most intermediate_size`],
    [{ hidden_act: "gelu" }, `"hidden_act" is "gelu"; expected "silu"`],
    [{ model_type: "gpt2" }, `"model_type" is "gpt2"; expected "qwen2" or "steel" or "qwen3"`],
    [{ use_sliding_window: 1 }, `"use_sliding_window" is 1; expected true or false`],
    [
      { rope_scaling: { type: "yarn", factor: 4 } },
      `among "default", "linear", "dynamic", "llama3"`,
    ],
    [{ rope_scaling: { type: "linear" } }, `expected factor a number of at least`],
    [{ rope_parameters: { rope_theta: 10 } }, `the same rope_theta as elsewhere in the file`],
    [{ partial_rotary_factor: 0.1 }, `an even number of the 56 values of a head`],
    [{ rms_norm_eps: 0 }, `"rms_norm_eps" is 0; expected a number of at least`],
    [{ rms_norm_eps: 1e40 }, `"rms_norm_eps" is 1e+40; expected a number of at least`],
    [{ tie_word_embeddings: "no" }, `"tie_word_embeddings" is "no"; expected true or false`],
    [{ eos_token_id: [1, -1] }, `"eos_token_id" is [1,-1]; expected a token id`],
    [{ layer_types: ["full_attention"] }, `expected one entry for each of the 18 layers`],
    [{ layer_types: ["sliding_attention"] }, `"layer_types" is ["sliding_attention"]`],
  ];
  for (const [change, expected] of wrong) {
    const error = assertThrows(
      () => parseConfig({ ...STEEL_1B, ...change }, "runs/x/config.json"),
      UserError,
    );
    assertStringIncludes(error.message, "runs/x/config.json: ");
    assertStringIncludes(error.message, expected);
  }
});
