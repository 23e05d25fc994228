import type { HeadLayout } from "../layers/rope.ts";
import type { Graph } from "../runtime/graph.ts";
import { AttentionRows } from "./attention-rows.ts";
import { AttentionTiles } from "./attention-tiles.ts";

/** The widest head of which one invocation holds whole rows. */
const WIDEST_ROW = 128;

/** The WGSL of attention and its gradients without tensor cores, by the variant that suits the heads. */
export function plainAttention(
  graph: Graph,
  tokens: number,
  layout: HeadLayout,
): AttentionRows | AttentionTiles {
  return layout.headDim > WIDEST_ROW
    ? new AttentionTiles(tokens, layout)
    : new AttentionRows(graph, tokens, layout);
}
