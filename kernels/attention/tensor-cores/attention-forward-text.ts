import type { AttentionKernel, TensorCoreAttention } from "./attention-kernel.ts";
import { WorkPartition } from "./attention-partition.ts";
import { loadOwn, TileProduct } from "./attention-product.ts";
import { attentionSides } from "./attention-sides.ts";
import { Sums } from "./attention-sums.ts";
import { PassingTiles } from "./attention-passing-tiles.ts";

/**
 * A row's weights are exp2(score - reference). The reference is set LEAD above the largest score so
 * far, and a later score may exceed it by SLACK before the sums are rescaled. So weights stay below
 * 2^14, which f16 holds, and the largest one is at least 2^-4. Rescaling passes through workgroup
 * memory, and all rows of a workgroup wait for it. So all of them take a new reference then, though
 * only one row needs it: in a trained model most rows need one sooner or later, each at another tile.
 */
const LEAD = 4, SLACK = 14;

/**
 * All lanes read `behind` after one barrier and before the next, so that they find the same value.
 * WGSL's uniformity analysis does not see this. `workgroupUniformLoad`, which it understands, would
 * add two barriers.
 */
const EXTENSIONS = ["enable chromium_disable_uniformity_analysis;"];

/**
 * WGSL of causal flash attention on tensor cores (Dao et al., arXiv 2205.14135, 2307.08691): f16
 * queries, keys and values, f32 softmax and accumulation. Bindings:
 * - `qkv` f16 [tokens, (heads + 2 keyValueHeads) * headDim], bound as `array<vec4<u32>>`
 * - `sequence_start` u32 [tokens]: the first token of each token's sequence
 * - `output` f16 [tokens, heads * headDim], bound as `array<vec4<u32>>`
 * - `log_sum_exp` f32 [heads, tokens]: natural logarithm of each row's sum, for the backward pass
 *
 * The matrix variables of the loop are zeroed by a constructor: without one, Dawn zeroes them only
 * once, before the loop.
 */
export function tensorCoreAttentionForward(options: TensorCoreAttention): AttentionKernel {
  const { tokens, heads, keyValueHeads, headDim } = options;
  const partition = new WorkPartition(options);
  const { tile } = partition;
  const { queries, keys, values, outputs } = attentionSides(options);
  const keyTiles = new PassingTiles(partition, keys);
  const valueTiles = new PassingTiles(partition, values);
  const scores = new TileProduct(partition);
  const sums = new Sums(partition, "sum");
  const scale = Math.LOG2E / Math.sqrt(headDim);
  const every = (line: (v: number) => string) => scores.vectors.map(line).join("\n");

  const code = `
${keyTiles.declareMemory()}
${valueTiles.declareMemory()}
${partition.declareScratch()}
// One more than the tile at which a row whose sums had begun took a new reference; 0 for none.
var<workgroup> behind: u32;

${partition.begin(heads, "late")}
  let head = own_head;
  let shared_head = head / ${heads / keyValueHeads}u;
  let own_start = sequence_start[min(own_token, ${tokens - 1}u)];
  let first_key = sequence_start[first] & ~${tile - 1}u;
  // From here to the first query every key is seen by every query of the workgroup.
  let last_start = sequence_start[last];
${keyTiles.declareRegisters()}
${valueTiles.declareRegisters()}
${loadOwn(partition, queries)}
${sums.declare()}
  // Below any score, and above what stands for a hidden one.
  var largest = -1e20;
  var reference = largest;
  var row_sum = 0.0;
  var former = reference;
  // From late keys to early ones: most rows have their largest scores near themselves, so that their
  // first reference lasts. Before tile 0 comes one that is greater than all.
  var tile = last & ~${tile - 1}u;
  loop {
    // A tile that is computed again finds its references set, and must not leave again.
    if (lane == 0u) { behind = 0u; }
${keyTiles.fetch("tile")}
    workgroupBarrier();
${keyTiles.stage()}
${valueTiles.fetch("tile")}
${keyTiles.fetch(`tile - ${tile}u`)}
    workgroupBarrier();
    for (; tile >= first_key && tile <= last; tile -= ${tile}u) {
${scores.multiply(queries, keyTiles)}
      workgroupBarrier();
${valueTiles.stage()}
${keyTiles.stage()}
${valueTiles.fetch(`tile - ${tile}u`)}
${keyTiles.fetch(`tile - ${2 * tile}u`)}
${every((v) => `      var score_${v} = ${scores.read(v)};`)}
      if (tile < last_start || tile + ${tile - 1}u > first) {
${
    every((v) =>
      `        let key_${v} = tile + ${scores.columns(v)};
        score_${v} = select(vec4<f32>(-1e30), score_${v},
          (key_${v} >= vec4<u32>(own_start)) & (key_${v} <= vec4<u32>(own_token)));`
    )
  }
      }
      var peaks = score_0;
${scores.vectors.slice(1).map((v) => `      peaks = max(peaks, score_${v});`).join("\n")}
      var peak = max(max(peaks.x, peaks.y), max(peaks.z, peaks.w)) * ${scale};
${partition.foldRow("peak", (a, b) => `max(${a}, ${b})`)}
      largest = max(largest, peak);
      former = reference;
      if (largest > reference + ${SLACK}.0) {
        if (reference > -1e19) { behind = tile + 1u; }
        reference = largest + ${LEAD}.0;
      }
      var total = vec4<f32>();
${
    every((v) =>
      `      score_${v} = exp2(fma(score_${v}, vec4<f32>(${scale}), vec4<f32>(-reference)));
      total += score_${v};`
    )
  }
${scores.leave("score")}
      workgroupBarrier();
      if (behind == tile + 1u) { break; }
      row_sum += total.x + total.y + total.z + total.w;
${scores.take("weights")}
${sums.accumulate("weights", valueTiles)}
      workgroupBarrier();
    }
    if (tile < first_key || tile > last) { break; }
    // Here and not in the loop, where the compiler would move all sums around at every tile. The tile is
    // computed again, as weights that had to outlive the loop made it slower (kernels/README.md).
    reference = largest + ${LEAD}.0;
    let decay = exp2(former - reference);
    row_sum *= decay;
${sums.scale("decay")}
  }
${partition.foldRow("row_sum", (a, b) => `${a} + ${b}`)}
${sums.write("output", outputs, "(1.0 / row_sum)")}
  if (own_token < ${tokens}u && part == 0u) {
    log_sum_exp[head * ${tokens}u + own_token] = (reference + log2(row_sum)) * ${Math.LN2};
  }
}`;
  return { code, extensions: EXTENSIONS, workgroups: partition.workgroups(heads) };
}
