import type { AttentionVariant } from "../attention.ts";
import { type Binding, type Graph, read, write } from "../graph.ts";
import type { HeadLayout } from "../rope.ts";
import type { Tensor } from "../tensor.ts";
import { attentionRowDot, tensorCoreAttentionBackward } from "./attention-backward-text.ts";
import { tensorCoreAttentionForward } from "./attention-text.ts";
import type { AttentionKernel } from "./attention-tiles.ts";
import { MATRIX_DIRECTIVES } from "./fragment.ts";

/** Widest head of which a subgroup can hold its rows' sums in registers. */
const WIDEST_HEAD = 128;

/** Whether attention can be computed on tensor cores. */
export function attendsOnTensorCores(
  { capabilities }: Graph,
  { dtype }: Tensor,
  { headDim }: HeadLayout,
) {
  return capabilities.tensorCores && dtype === "f16" && headDim % 8 === 0 &&
    headDim <= WIDEST_HEAD;
}

export const onTensorCores: AttentionVariant = {
  forward({ qkv, y, logSumExp }, { starts }, layout) {
    launch(qkv.graph, "attention", tensorCoreAttentionForward(optionsOf(qkv, layout)), {
      qkv: eights(read(qkv, 4)),
      sequence_start: read(starts),
      output: eights(write(y, 4)),
      log_sum_exp: write(logSumExp),
    });
  },
  backward({ qkv, y, logSumExp }, { starts, ends }, layout, dy, dqkv) {
    const graph = qkv.graph;
    const options = optionsOf(qkv, layout);
    const rowDot = graph.tensor("attention.rowDot", logSumExp.shape);
    launch(graph, "attention row dot", attentionRowDot(options), {
      output: eights(read(y, 4)),
      output_gradient: eights(read(dy, 4)),
      row_dot: write(rowDot),
    });
    const gradients = [
      { of: "queries", sequence: starts, label: "attention dQ" },
      { of: "keys and values", sequence: ends, label: "attention dKV" },
    ] as const;
    for (const { of, sequence, label } of gradients) {
      launch(graph, label, tensorCoreAttentionBackward({ ...options, of }), {
        qkv: eights(read(qkv, 4)),
        output_gradient: eights(read(dy, 4)),
        log_sum_exp: read(logSumExp),
        row_dot: read(rowDot),
        sequence: read(sequence),
        qkv_gradient: eights(write(dqkv, 4)),
      });
    }
  },
};

function optionsOf({ shape: [tokens] }: Tensor, { heads, keyValueHeads, headDim }: HeadLayout) {
  return { tokens, heads, keyValueHeads, headDim };
}

/** Eight halves at a time. */
function eights(binding: Binding): Binding {
  return { ...binding, type: "vec4<u32>" };
}

function launch(
  graph: Graph,
  label: string,
  { code, workgroups }: AttentionKernel,
  bindings: Record<string, Binding>,
): void {
  graph.dispatch(label, bindings, code, workgroups, MATRIX_DIRECTIVES);
}
