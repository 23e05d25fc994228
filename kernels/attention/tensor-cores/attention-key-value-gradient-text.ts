import type { AttentionGradients, AttentionKernel } from "./attention-kernel.ts";
import { WorkPartition } from "./attention-partition.ts";
import { loadOwn, TileProduct } from "./attention-product.ts";
import { ScoreGradients } from "./attention-score-gradients.ts";
import { attentionSides } from "./attention-sides.ts";
import { Sums } from "./attention-sums.ts";
import { PassingTiles } from "./attention-passing-tiles.ts";

/**
 * WGSL of the gradients of keys and values: the weights are computed again from the saved logarithms
 * of their sums (Dao, arXiv 2307.08691, algorithm 2). A subgroup owns keys and values; the queries
 * of all heads that share them pass by. Bindings:
 * - `qkv` f16 [tokens, (heads + 2 keyValueHeads) * headDim], as `array<vec4<u32>>`
 * - `output_gradient` f16 [tokens, heads * headDim], as `array<vec4<u32>>`
 * - `log_sum_exp` f32 [heads, tokens] of the forward pass
 * - `row_dot` f32 [heads, tokens] of `attentionRowDot`
 * - `sequence_end` u32 [tokens]: the token after the last of each token's sequence
 * - `score_gradients` f16 [{@linkcode ScoreGradients.size}], as `array<vec4<u32>>`, written
 * - `qkv_gradient` f16, shaped like `qkv`, of which only the columns of keys and values are written
 */
export function keyValueGradient(options: AttentionGradients): AttentionKernel {
  const { tokens, heads, keyValueHeads, headDim, firstSharedHead, sharedHeads } = options;
  const partition = new WorkPartition(options, { products: 2 });
  const { tile } = partition;
  const { queries, keys, values, outputs } = attentionSides(options);
  const queryTiles = new PassingTiles(partition, queries);
  const outputTiles = new PassingTiles(partition, outputs);
  // Side by side in the scratch: scores, and the gradients of their weights.
  const scores = new TileProduct(partition, 0), changes = new TileProduct(partition, 1);
  const keySums = new Sums(partition, "key_sum"), valueSums = new Sums(partition, "value_sum");
  const stored = new ScoreGradients(options);
  const scale = 1 / Math.sqrt(headDim);
  const group = heads / keyValueHeads;
  const every = (line: (v: number) => string) => scores.vectors.map(line).join("\n");
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
${queryTiles.declareMemory()}
${outputTiles.declareMemory()}
${partition.declareScratch()}
var<workgroup> log_sums: array<vec4<f32>, ${tile / 4}>;
var<workgroup> dots: array<vec4<f32>, ${tile / 4}>;

${partition.begin(sharedHeads, "early")}
  let shared_head = ${firstSharedHead}u + own_head;
  let own_end = sequence_end[min(own_token, ${tokens - 1}u)];
  let first_end = sequence_end[first];
  let end = sequence_end[last];
${loadOwn(partition, keys)}
${loadOwn(partition, values)}
${keySums.declare()}
${valueSums.declare()}
  for (var head = shared_head * ${group}u; head < (shared_head + 1u) * ${group}u; head++) {
    let stored_head = head - ${firstSharedHead * group}u;
${queryTiles.declareRegisters()}
${queryTiles.fetch("first")}
${outputTiles.declareRegisters()}
${outputTiles.fetch("first")}
    var fetched_log_sums: vec4<f32>;
    var fetched_dots: vec4<f32>;
${fetchSums("first")}
    for (var tile = first; tile < end; tile += ${tile}u) {
      workgroupBarrier();
${queryTiles.stage()}
${outputTiles.stage()}
      if (lane < ${tile / 4}u) {
        log_sums[lane] = fetched_log_sums * ${Math.LOG2E};
        dots[lane] = fetched_dots;
      }
      workgroupBarrier();
${queryTiles.fetch(`tile + ${tile}u`)}
${outputTiles.fetch(`tile + ${tile}u`)}
${fetchSums(`tile + ${tile}u`)}
${scores.multiply(keys, queryTiles)}
${changes.multiply(values, outputTiles)}
      workgroupBarrier();
${
    every((v) =>
      `      var weight_${v} = exp2(fma(${scores.read(v)}, ` +
      `vec4<f32>(${scale * Math.LOG2E}), -log_sums[${column(v)}]));`
    )
  }
      if (tile < last || tile + ${tile}u > first_end) {
${
    every((v) =>
      `        let query_${v} = tile + ${scores.columns(v)};
        weight_${v} = select(vec4<f32>(), weight_${v},
          (query_${v} >= vec4<u32>(own_token)) & (query_${v} < vec4<u32>(own_end)));`
    )
  }
      }
${every((v) => `      let change_${v} = weight_${v} * (${changes.read(v)} - dots[${column(v)}]);`)}
${scores.leave("weight")}
${changes.leave("change")}
      workgroupBarrier();
${
    changes.copyOut((columns, vector, value) =>
      `score_gradients[${stored.at("stored_head", `(tile + ${columns}u)`, "own_first")} + ` +
      `${vector}] = ${value};`
    )
  }
${scores.take("weights")}
${valueSums.accumulate("weights", outputTiles)}
${changes.take("changes")}
${keySums.accumulate("changes", queryTiles)}
    }
  }
${keySums.write("qkv_gradient", keys, `${scale}`)}
${valueSums.write("qkv_gradient", values, "1.0")}
}`;
  return { code, workgroups: partition.workgroups(sharedHeads) };
}
