import type { AttentionGradients, AttentionKernel } from "./attention-kernel.ts";
import { WorkPartition } from "./attention-partition.ts";
import { KEYS, ScoreGradients, ScoreGradientTiles } from "./attention-score-gradients.ts";
import { attentionSides } from "./attention-sides.ts";
import { Sums } from "./attention-sums.ts";
import { PassingTiles } from "./attention-passing-tiles.ts";

/**
 * WGSL of the gradients of queries: those of their scores times the keys. A subgroup owns queries;
 * keys pass by. Bindings:
 * - `qkv` f16, as for `keyValueGradient`
 * - `score_gradients` f16, which that has left
 * - `sequence_start` u32 [tokens]: the first token of each token's sequence
 * - `qkv_gradient` f16, shaped like `qkv`, of which only the columns of queries are written
 */
export function queryGradient(options: AttentionGradients): AttentionKernel {
  const { heads, keyValueHeads, headDim, firstSharedHead, sharedHeads } = options;
  const partition = new WorkPartition(options, { tile: KEYS });
  const { queries, keys } = attentionSides(options);
  const keyTiles = new PassingTiles(partition, keys);
  const changes = new ScoreGradientTiles(partition, new ScoreGradients(options));
  const sums = new Sums(partition, "sum");
  const group = heads / keyValueHeads;
  const scale = 1 / Math.sqrt(headDim);

  const code = `
${keyTiles.declareMemory()}
${partition.declareScratch()}

${partition.begin(group * sharedHeads, "late")}
  let head = ${firstSharedHead * group}u + own_head;
  let shared_head = head / ${group}u;
  let first_key = sequence_start[first] & ~${KEYS - 1}u;
${keyTiles.declareRegisters()}
${changes.declare()}
${keyTiles.fetch("first_key")}
${changes.fetch("first_key")}
${sums.declare()}
  for (var tile = first_key; tile <= last; tile += ${KEYS}u) {
    workgroupBarrier();
${keyTiles.stage()}
${changes.stage()}
    workgroupBarrier();
${keyTiles.fetch(`tile + ${KEYS}u`)}
${changes.fetch(`(tile + ${KEYS}u)`)}
${changes.take("changes")}
${sums.accumulate("changes", keyTiles)}
  }
${sums.write("qkv_gradient", queries, `${scale}`)}
}`;
  return { code, workgroups: partition.workgroups(group * sharedHeads) };
}
