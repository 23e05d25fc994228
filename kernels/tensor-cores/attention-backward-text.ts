import {
  type AttentionKernel,
  AttentionTiles,
  LANES,
  rowsOf,
  type TensorCoreAttention,
} from "./attention-tiles.ts";

/**
 * WGSL of `row_dot[head, token] = Σ output · output_gradient`, which gradients of scores subtract.
 * Bindings: `output` and `output_gradient`, f16 [tokens, heads * headDim] bound as
 * `array<vec4<u32>>`, and `row_dot` f32 [heads, tokens].
 */
export function attentionRowDot(options: TensorCoreAttention): AttentionKernel {
  const { tokens, heads, headDim } = options;
  const vectors = headDim / 8;
  // Lanes that share a head of a token, a vector each.
  const lanes = 2 ** Math.ceil(Math.log2(vectors));
  const steps = Array.from({ length: Math.log2(lanes) }, (_, step) => 1 << step);
  const code = `

@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let head = id.x / ${lanes}u;
  let lane = id.x % ${lanes}u;
  var sum = 0.0;
  if (lane < ${vectors}u && head < ${heads}u) {
    let a = output[(id.y * ${heads}u + head) * ${vectors}u + lane];
    let b = output_gradient[(id.y * ${heads}u + head) * ${vectors}u + lane];
    for (var i = 0u; i < 4u; i++) { sum += dot(unpack2x16float(a[i]), unpack2x16float(b[i])); }
  }
  ${steps.map((step) => `sum += subgroupShuffleXor(sum, ${step}u);`).join("\n  ")}
  if (lane == 0u && head < ${heads}u) { row_dot[head * ${tokens}u + id.y] = sum; }
}`;
  return { code, workgroups: [Math.ceil(heads * lanes / LANES), tokens] };
}

/** The gradients of some heads; the arrays hold all heads. */
export interface AttentionGradients extends TensorCoreAttention {
  /** The first of the key and value heads, and how many, with the query heads that share them. */
  firstSharedHead: number;
  sharedHeads: number;
}

/** Queries whose gradients of scores lie side by side, and keys that are staged at a time. */
const QUERIES = 16, KEYS = 32;

/**
 * Gradients of scores, f16, on their way from the kernel of keys and values to that of queries: for
 * each head and 16 queries, the 16 numbers of a key side by side. Keys lie at their token modulo
 * `keys`, so that those of one sequence never meet.
 */
class ScoreGradients {
  readonly size: number;
  readonly #keys: number;
  readonly #queryTiles: number;

  constructor(
    { tokens, heads, keyValueHeads, longest, sharedHeads }: Omit<
      AttentionGradients,
      "firstSharedHead"
    >,
  ) {
    // A query's numbers lie less than `longest` keys back. Zeros are written as well, for keys of its
    // own workgroup that follow it and of one that ends a tile before: as many keys again as a
    // workgroup owns, at most 128, and a tile of 32.
    this.#keys = KEYS * Math.ceil((longest + 128) / KEYS + 1);
    // As many as tiles of either length reach.
    this.#queryTiles = Math.ceil(tokens / KEYS) * KEYS / QUERIES;
    this.size = heads / keyValueHeads * sharedHeads * this.#queryTiles * this.#keys * QUERIES;
  }

  /** WGSL for the first vector of sixteen queries and a key; `head` counts from the first here. */
  at(head: string, query: string, key: string): string {
    return `((${head} * ${this.#queryTiles}u + ${query} / ${QUERIES}u) * ${this.#keys}u + ` +
      `${key} % ${this.#keys}u) * ${QUERIES / 8}u`;
  }
}

/** Numbers of f16 that {@link keyValueGradient} leaves for {@link queryGradient}. */
export function scoreGradientSize(options: Omit<AttentionGradients, "firstSharedHead">): number {
  return new ScoreGradients(options).size;
}

/** Scores and the gradients of their weights lie side by side in the scratch. */
const SCORES = 0, CHANGES = 1, PRODUCTS = 2;

/**
 * WGSL of the gradients of keys and values: the weights are computed again from the saved logarithms
 * of their sums (Dao, arXiv 2307.08691, algorithm 2). A subgroup owns keys and values; the queries
 * of all heads that share them pass by. Bindings:
 * - `qkv` f16 [tokens, (heads + 2 keyValueHeads) * headDim], as `array<vec4<u32>>`
 * - `output_gradient` f16 [tokens, heads * headDim], as `array<vec4<u32>>`
 * - `log_sum_exp` f32 [heads, tokens] of the forward pass
 * - `row_dot` f32 [heads, tokens] of {@link attentionRowDot}
 * - `sequence_end` u32 [tokens]: the token after the last of each token's sequence
 * - `score_gradients` f16 [{@link scoreGradientSize}], as `array<vec4<u32>>`, written
 * - `qkv_gradient` f16, shaped like `qkv`, of which only the columns of keys and values are written
 */
export function keyValueGradient(options: AttentionGradients): AttentionKernel {
  const { tokens, heads, keyValueHeads, headDim, firstSharedHead, sharedHeads } = options;
  const tiles = new AttentionTiles(options, rowsOf(options), PRODUCTS);
  const stored = new ScoreGradients(options);
  const { tile, vectors, queries, keys, values, outputs } = tiles;
  const scale = 1 / Math.sqrt(headDim);
  const group = heads / keyValueHeads;
  const every = (line: (v: number) => string) => vectors.map(line).join("\n");
  const fetchSums = (token: string) =>
    `      if (lane < ${tile / 4}u) {
        let at = min(vec4<u32>(${token} + 4u * lane) + vec4<u32>(0u, 1u, 2u, 3u),
          vec4<u32>(${tokens - 1}u)) + head * ${tokens}u;
        fetched_log_sums = vec4<f32>(log_sum_exp[at.x], log_sum_exp[at.y], log_sum_exp[at.z],
          log_sum_exp[at.w]);
        fetched_dots = vec4<f32>(row_dot[at.x], row_dot[at.y], row_dot[at.z], row_dot[at.w]);
      }`;
  const column = (v: number) => `part * 4u + ${v}u`;

  const code = `
${tiles.declareMemory(queries, outputs)}
var<workgroup> log_sums: array<vec4<f32>, ${tile / 4}>;
var<workgroup> dots: array<vec4<f32>, ${tile / 4}>;

${tiles.begin(sharedHeads, "early")}
  let shared_head = ${firstSharedHead}u + own_head;
  let own_end = sequence_end[min(own_token, ${tokens - 1}u)];
  let first_end = sequence_end[first];
  let end = sequence_end[last];
${tiles.loadOwn(keys)}
${tiles.loadOwn(values)}
${tiles.declareSums("key_sum")}
${tiles.declareSums("value_sum")}
  for (var head = shared_head * ${group}u; head < (shared_head + 1u) * ${group}u; head++) {
    let stored_head = head - ${firstSharedHead * group}u;
${tiles.declareFetched(queries)}
${tiles.fetch(queries, "first")}
${tiles.declareFetched(outputs)}
${tiles.fetch(outputs, "first")}
    var fetched_log_sums: vec4<f32>;
    var fetched_dots: vec4<f32>;
${fetchSums("first")}
    for (var tile = first; tile < end; tile += ${tile}u) {
      workgroupBarrier();
${tiles.stage(queries)}
${tiles.stage(outputs)}
      if (lane < ${tile / 4}u) {
        log_sums[lane] = fetched_log_sums * ${Math.LOG2E};
        dots[lane] = fetched_dots;
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
      `      var weight_${v} = exp2(fma(${tiles.read(v, SCORES)}, ` +
      `vec4<f32>(${scale * Math.LOG2E}), -log_sums[${column(v)}]));`
    )
  }
      if (tile < last || tile + ${tile}u > first_end) {
${
    every((v) =>
      `        let query_${v} = tile + ${tiles.columns(v)};
        weight_${v} = select(vec4<f32>(), weight_${v},
          (query_${v} >= vec4<u32>(own_token)) & (query_${v} < vec4<u32>(own_end)));`
    )
  }
      }
${
    every((v) =>
      `      let change_${v} = weight_${v} * (${tiles.read(v, CHANGES)} - dots[${column(v)}]);`
    )
  }
${tiles.leave("weight", SCORES)}
${tiles.leave("change", CHANGES)}
      workgroupBarrier();
${
    tiles.copyLeft(CHANGES, (columns, vector, value) =>
      `score_gradients[${stored.at("stored_head", `(tile + ${columns}u)`, "own_first")} + ` +
      `${vector}] = ${value};`)
  }
${tiles.take("weights", SCORES)}
${tiles.accumulate("value_sum", "weights", outputs)}
${tiles.take("changes", CHANGES)}
${tiles.accumulate("key_sum", "changes", queries)}
    }
  }
${tiles.writeSums("key_sum", "qkv_gradient", keys.index, `${scale}`)}
${tiles.writeSums("value_sum", "qkv_gradient", values.index, "1.0")}
}`;
  return { code, workgroups: tiles.workgroups(sharedHeads) };
}

/**
 * WGSL of the gradients of queries: those of their scores times the keys. A subgroup owns queries;
 * keys pass by. Bindings:
 * - `qkv` f16, as for {@link keyValueGradient}
 * - `score_gradients` f16, which that has left
 * - `sequence_start` u32 [tokens]: the first token of each token's sequence
 * - `qkv_gradient` f16, shaped like `qkv`, of which only the columns of queries are written
 */
export function queryGradient(options: AttentionGradients): AttentionKernel {
  const { tokens, heads, keyValueHeads, headDim, firstSharedHead, sharedHeads } = options;
  const tiles = new AttentionTiles(options, rowsOf(options), 1, KEYS);
  const stored = new ScoreGradients(options);
  const { workgroupRows, queries, keys } = tiles;
  const group = heads / keyValueHeads;
  const scale = 1 / Math.sqrt(headDim);
  // Nobody wrote for keys whose workgroup's last one is of an earlier sequence.
  const fetchChanges = (tile: string) =>
    tiles.fetchColumns("changes", "score_gradients", (rows) => ({
      condition: `(${tile} | ${workgroupRows - 1}u) >= start_${rows}`,
      at: stored.at("own_head", `(own_first + ${rows}u)`, tile),
    }));
  const starts = Array.from({ length: rowsOf(options) / QUERIES }, (_, i) => {
    const query = `own_first + ${QUERIES * i}u`;
    return `  let start_${QUERIES * i} = select(0xffffffffu, ` +
      `sequence_start[min(${query}, ${tokens - 1}u)], ${query} < ${tokens}u);`;
  }).join("\n");

  const code = `
${tiles.declareMemory(keys)}

${tiles.begin(group * sharedHeads, "late")}
  let head = ${firstSharedHead * group}u + own_head;
  let shared_head = head / ${group}u;
  let first_key = sequence_start[first] & ~${KEYS - 1}u;
${tiles.declareFetched(keys)}
${tiles.declareColumns("changes")}
${starts}
${tiles.fetch(keys, "first_key")}
${fetchChanges("first_key")}
${tiles.declareSums("sum")}
  for (var tile = first_key; tile <= last; tile += ${KEYS}u) {
    workgroupBarrier();
${tiles.stage(keys)}
${tiles.stageColumns("changes")}
    workgroupBarrier();
${tiles.fetch(keys, `tile + ${KEYS}u`)}
${fetchChanges(`(tile + ${KEYS}u)`)}
${tiles.takeColumns("changes")}
${tiles.accumulate("sum", "changes", keys)}
  }
${tiles.writeSums("sum", "qkv_gradient", queries.index, `${scale}`)}
}`;
  return { code, workgroups: tiles.workgroups(group * sharedHeads) };
}
