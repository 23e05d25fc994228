import type { HeadLayout } from "../layers/rope.ts";
import type { Graph } from "../runtime/graph.ts";
import { RowWiseAttention } from "./attention-row-wise.ts";
import { TiledAttention } from "./attention-tiled.ts";

/** The widest head of which one invocation holds whole rows. */
const WIDEST_ROW = 128;

/**
 * The WGSL of attention and its gradients without tensor cores, by the variant that suits the device:
 * workgroup memory and barriers are slow where CPU cores stand in for a GPU.
 */
export function plainAttention(
  graph: Graph,
  tokens: number,
  layout: HeadLayout,
): RowWiseAttention | TiledAttention {
  return graph.capabilities.cpu && layout.headDim <= WIDEST_ROW
    ? new RowWiseAttention(tokens, layout)
    : new TiledAttention(tokens, layout);
}
