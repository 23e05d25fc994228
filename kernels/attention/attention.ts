import { plainAttention } from "./plain-attention.ts";
import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { type AttentionVariant, scoreFlops } from "./variant.ts";
import type { HeadLayout } from "../layers/rope.ts";
import type { Sequences } from "../layers/sequences.ts";
import { attendsOnTensorCores, onTensorCores } from "./tensor-cores/attention.ts";

/**
 * Causal attention, grouped-query where there are fewer key heads than query heads, as flash
 * attention (Dao et al., arXiv 2205.14135): scores never leave the chip, the backward recomputes
 * them from the saved log-sum-exp.
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16, rope applied
 * @returns [tokens, heads · headDim], of the same type
 */
export function attention(qkv: Tensor, sequences: Sequences, layout: HeadLayout): Tensor {
  const graph = qkv.graph;
  const tokens = qkv.shape[0];
  const y = graph.tensor("attention", [tokens, layout.heads * layout.headDim], qkv.dtype);
  const logSumExp = graph.tensor("attention.logSumExp", [layout.heads, tokens]);
  const saved = { qkv, y, logSumExp };
  const { forward, backward } = attendsOnTensorCores(graph, qkv, layout) ? onTensorCores : plain;
  forward(saved, sequences, layout);

  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(qkv);
    if (!target) return;
    if (target.accumulate) throw new Error("attention must be the only operator that reads qkv");
    backward(saved, sequences, layout, dy, target.tensor);
  });
  return y;
}

const plain: AttentionVariant = {
  forward({ qkv, y, logSumExp }, { starts, longest }, layout) {
    const [tokens] = qkv.shape;
    const text = plainAttention(qkv.graph, tokens, layout);
    const { vector } = text;
    qkv.graph.dispatch(
      "attention",
      {
        qkv: read(qkv, vector),
        starts: read(starts),
        y: write(y, vector),
        log_sum_exp: write(logSumExp),
      },
      text.forward(),
      [text.rowGroups, layout.heads],
      { flops: 2 * scoreFlops({ ...layout, tokens, longest }, layout.heads) },
    );
  },
  backward({ qkv, y, logSumExp }, { starts, ends, longest }, layout, dy, dqkv) {
    const { graph, shape: [tokens] } = qkv;
    const text = plainAttention(graph, tokens, layout);
    const product = scoreFlops({ ...layout, tokens, longest }, layout.heads);
    const { vector } = text;
    const rowDot = graph.tensor("attention.rowDot", logSumExp.shape);
    const common = {
      qkv: read(qkv, vector),
      dy: read(dy, vector),
      log_sum_exp: read(logSumExp),
      dqkv: write(dqkv, vector),
    };
    graph.dispatch(
      "attention dQ",
      { ...common, starts: read(starts), y: read(y, vector), row_dot: write(rowDot) },
      text.backwardQueries(),
      [text.rowGroups, layout.heads],
      { flops: 3 * product },
    );
    graph.dispatch(
      "attention dKV",
      { ...common, ends: read(ends), row_dot: read(rowDot) },
      text.backwardKeysValues(),
      [text.rowGroups, layout.keyValueHeads],
      { flops: 4 * product },
    );
  },
};
