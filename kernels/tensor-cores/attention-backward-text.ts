import { LATE_QUERIES_FIRST } from "./attention-text.ts";
import {
  type AttentionKernel,
  AttentionTiles,
  rowsOf,
  type TensorCoreAttention,
} from "./attention-tiles.ts";

/**
 * WGSL of `row_dot[head, token] = Σ output · output_gradient`, which both gradients subtract.
 * Bindings: `output` and `output_gradient`, f16 [tokens, heads * headDim] bound as
 * `array<vec4<u32>>`, and `row_dot` f32 [heads, tokens].
 */
export function attentionRowDot(options: TensorCoreAttention): AttentionKernel {
  const { tokens, heads, headDim } = options;
  const code = `

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  // Neighbouring lanes take neighbouring heads of a token: their vectors lie side by side.
  let token = id.x / ${heads}u;
  let head = id.x % ${heads}u;
  if (token >= ${tokens}u) { return; }
  var sum = 0.0;
  for (var v = 0u; v < ${headDim / 8}u; v++) {
    let a = output[id.x * ${headDim / 8}u + v];
    let b = output_gradient[id.x * ${headDim / 8}u + v];
    for (var i = 0u; i < 4u; i++) { sum += dot(unpack2x16float(a[i]), unpack2x16float(b[i])); }
  }
  row_dot[head * ${tokens}u + token] = sum;
}`;
  return { code, workgroups: [Math.ceil(tokens * heads / 128), 1] };
}

/**
 * WGSL of the gradient of the queries, or of keys and values: the weights are computed again from
 * the saved logarithms of their sums (Dao, arXiv 2307.08691, algorithm 2). Bindings:
 * - `qkv` f16 [tokens, (heads + 2 keyValueHeads) * headDim], as `array<vec4<u32>>`
 * - `output_gradient` f16 [tokens, heads * headDim], as `array<vec4<u32>>`
 * - `log_sum_exp` f32 [heads, tokens] of the forward pass
 * - `row_dot` f32 [heads, tokens] of {@link attentionRowDot}
 * - `sequence` u32 [tokens]: for queries the first token of each token's sequence, for keys the
 *    token after its last
 * - `qkv_gradient` f16, shaped like `qkv`, of which only the columns of `of` are written
 */
export function tensorCoreAttentionBackward(
  options: TensorCoreAttention & { of: "queries" | "keys and values" },
): AttentionKernel {
  return options.of === "queries" ? queryGradient(options) : keyValueGradient(options);
}

/** Scores and the gradients of their weights lie side by side in the scratch. */
const SCORES = 0, CHANGES = 1, PRODUCTS = 2;

/** A subgroup owns queries and the gradients of their outputs; keys and values pass by. */
function queryGradient(options: TensorCoreAttention): AttentionKernel {
  const { tokens, heads, keyValueHeads, headDim } = options;
  const tiles = new AttentionTiles(options, rowsOf(options), PRODUCTS);
  const { tile, vectors, queries, keys, values, outputs } = tiles;
  const scale = 1 / Math.sqrt(headDim);
  const every = (line: (v: number) => string) => vectors.map(line).join("\n");
  const own = `head * ${tokens}u + min(own_token, ${tokens - 1}u)`;

  const code = `
${tiles.declareMemory(keys, values)}

${tiles.begin(LATE_QUERIES_FIRST)}
  let head = workgroup.y;
  let shared_head = head / ${heads / keyValueHeads}u;
  let own_start = sequence[min(own_token, ${tokens - 1}u)];
  let first_key = sequence[first] & ~${tile - 1}u;
  let last_start = sequence[last];
  let log_sum = log_sum_exp[${own}] * ${Math.LOG2E};
  let own_dot = row_dot[${own}];
${tiles.declareFetched(keys)}
${tiles.fetch(keys, "first_key")}
${tiles.declareFetched(values)}
${tiles.fetch(values, "first_key")}
${tiles.loadOwn(queries)}
${tiles.loadOwn(outputs)}
${tiles.declareSums("sum")}
  for (var tile = first_key; tile <= last; tile += ${tile}u) {
    workgroupBarrier();
${tiles.stage(keys)}
${tiles.stage(values)}
    workgroupBarrier();
${tiles.fetch(keys, `tile + ${tile}u`)}
${tiles.fetch(values, `tile + ${tile}u`)}
${tiles.product("queries", keys, SCORES)}
${tiles.product("outputs", values, CHANGES)}
    workgroupBarrier();
${
    every((v) =>
      `    var weight_${v} = exp2(fma(${tiles.read(v, SCORES)}, ` +
      `vec4<f32>(${scale * Math.LOG2E}), vec4<f32>(-log_sum)));`
    )
  }
    if (tile < last_start || tile + ${tile - 1}u > first) {
${
    every((v) =>
      `      let key_${v} = tile + ${tiles.columns(v)};
      weight_${v} = select(vec4<f32>(), weight_${v},
        (key_${v} >= vec4<u32>(own_start)) & (key_${v} <= vec4<u32>(own_token)));`
    )
  }
    }
${every((v) => `    let change_${v} = weight_${v} * (${tiles.read(v, CHANGES)} - own_dot);`)}
${tiles.leave("change", CHANGES)}
    workgroupBarrier();
${tiles.take("changes", CHANGES)}
${tiles.accumulate("sum", "changes", keys)}
  }
${tiles.writeSums("sum", "qkv_gradient", queries.index, `${scale}`)}
}`;
  return { code, workgroups: [Math.ceil(tokens / tiles.workgroupRows), heads] };
}

/** A subgroup owns keys and values; the queries of all heads that share them pass by. */
function keyValueGradient(options: TensorCoreAttention): AttentionKernel {
  const { tokens, heads, keyValueHeads, headDim } = options;
  const tiles = new AttentionTiles(options, rowsOf(options), PRODUCTS);
  const { tile, vectors, queries, keys, values, outputs } = tiles;
  const scale = 1 / Math.sqrt(headDim);
  const group = heads / keyValueHeads;
  const every = (line: (v: number) => string) => vectors.map(line).join("\n");
  const fetchSums = (token: string) =>
    `    if (lane < ${tile}u) {
      let at = head * ${tokens}u + min(${token} + lane, ${tokens - 1}u);
      fetched_log_sum = log_sum_exp[at];
      fetched_dot = row_dot[at];
    }`;
  const column = (v: number) => `part * 4u + ${v}u`;

  const code = `
${tiles.declareMemory(queries, outputs)}
var<workgroup> log_sums: array<vec4<f32>, ${tile / 4}>;
var<workgroup> dots: array<vec4<f32>, ${tile / 4}>;

${tiles.begin("workgroup.x")}
  let shared_head = workgroup.y;
  let own_end = sequence[min(own_token, ${tokens - 1}u)];
  let first_end = sequence[first];
  let end = sequence[last];
${tiles.loadOwn(keys)}
${tiles.loadOwn(values)}
${tiles.declareSums("key_sum")}
${tiles.declareSums("value_sum")}
  for (var head = shared_head * ${group}u; head < (shared_head + 1u) * ${group}u; head++) {
${tiles.declareFetched(queries)}
${tiles.fetch(queries, "first")}
${tiles.declareFetched(outputs)}
${tiles.fetch(outputs, "first")}
    var fetched_log_sum = 0.0;
    var fetched_dot = 0.0;
${fetchSums("first")}
  for (var tile = first; tile < end; tile += ${tile}u) {
    workgroupBarrier();
${tiles.stage(queries)}
${tiles.stage(outputs)}
    if (lane < ${tile}u) {
      log_sums[lane / 4u][lane % 4u] = fetched_log_sum * ${Math.LOG2E};
      dots[lane / 4u][lane % 4u] = fetched_dot;
    }
    workgroupBarrier();
${tiles.fetch(queries, `tile + ${tile}u`)}
${tiles.fetch(outputs, `tile + ${tile}u`)}
${fetchSums(`tile + ${tile}u`)}
${tiles.product("keys", queries, SCORES)}
${tiles.product("values", outputs, CHANGES)}
    workgroupBarrier();
${
    every((v) =>
      `    var weight_${v} = exp2(fma(${tiles.read(v, SCORES)}, ` +
      `vec4<f32>(${scale * Math.LOG2E}), -log_sums[${column(v)}]));`
    )
  }
    if (tile < last || tile + ${tile}u > first_end) {
${
    every((v) =>
      `      let query_${v} = tile + ${tiles.columns(v)};
      weight_${v} = select(vec4<f32>(), weight_${v},
        (query_${v} >= vec4<u32>(own_token)) & (query_${v} < vec4<u32>(own_end)));`
    )
  }
    }
${
    every((v) =>
      `    let change_${v} = weight_${v} * (${tiles.read(v, CHANGES)} - dots[${column(v)}]);`
    )
  }
${tiles.leave("weight", SCORES)}
${tiles.leave("change", CHANGES)}
    workgroupBarrier();
${tiles.take("weights", SCORES)}
${tiles.accumulate("value_sum", "weights", outputs)}
${tiles.take("changes", CHANGES)}
${tiles.accumulate("key_sum", "changes", queries)}
  }
  }
${tiles.writeSums("key_sum", "qkv_gradient", keys.index, `${scale}`)}
${tiles.writeSums("value_sum", "qkv_gradient", values.index, "1.0")}
}`;
  return { code, workgroups: [Math.ceil(tokens / tiles.workgroupRows), keyValueHeads] };
}
