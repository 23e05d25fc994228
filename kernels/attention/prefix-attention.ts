import { plainAttention } from "./plain-attention.ts";
import { read, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import type { HeadLayout } from "../layers/rope.ts";
import type { Sequences } from "../layers/sequences.ts";

/**
 * Causal attention of sequences that all continue the first one: every row also attends to the
 * first `prefix` rows of the batch. It has no gradient.
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16, rope applied
 * @param prefix [1] u32: the length of the first sequence
 * @returns [tokens, heads · headDim], of the same type
 */
export function prefixAttention(
  qkv: Tensor,
  { starts }: Sequences,
  prefix: Tensor,
  layout: HeadLayout,
): Tensor {
  const { graph, shape: [tokens] } = qkv;
  const text = plainAttention(graph, tokens, layout);
  const y = graph.tensor("attention", [tokens, layout.heads * layout.headDim], qkv.dtype);
  const logSumExp = graph.tensor("attention.logSumExp", [layout.heads, tokens]);
  graph.dispatch(
    "attention after a prefix",
    {
      qkv: read(qkv, text.vector),
      starts: read(starts),
      prefix: read(prefix),
      y: write(y, text.vector),
      log_sum_exp: write(logSumExp),
    },
    text.forward({ afterPrefix: true }),
    [text.rowGroups, layout.heads],
  );
  return y;
}
