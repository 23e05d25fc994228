import type { TensorCoreMatmul } from "./matmul-kernel.ts";

/** The part of the inner dimension that a workgroup goes through, as WGSL. */
interface InnerPart {
  /** Declares `inner_start`, where it begins, and `inner`, how far fetching has come. */
  readonly begin: string;
  /** What `inner` stays below. */
  readonly end: string;
  /** Number of its stages. */
  readonly stages: string;
  /** Prepares the stage after the one that is fetched. */
  readonly ahead: string;
  /** The row of b at a place of the next stage, where rows come from a list. */
  readonly listedRow?: (place: string) => string;
}

/** Everything, or an equal share of it for each split. */
export function innerPart({ k, splits = 1, tile: { depth }, lists }: TensorCoreMatmul): InnerPart {
  if (lists) return listedPart(splits, depth, lists);
  const inner = k / splits;
  return {
    begin: `  let inner_start = workgroup.y * ${inner}u;
  var inner = 0u;`,
    end: `${inner}u`,
    stages: `${Math.ceil(inner / depth)}u`,
    ahead: "",
  };
}

/**
 * What the tile's list holds, in whole stages. Each lane of a subgroup reads one row's number, a
 * stage ahead, so that the rows themselves need not wait for it.
 */
function listedPart(
  splits: number,
  depth: number,
  { blockRows, stride }: NonNullable<TensorCoreMatmul["lists"]>,
): InnerPart {
  return {
    begin: `  let block = first_row / ${blockRows}u;
  let all_stages = (row_counts[block] + ${depth - 1}u) / ${depth}u;
  let inner_start = all_stages * workgroup.y / ${splits}u * ${depth}u;
  let inner_end = all_stages * (workgroup.y + 1u) / ${splits}u * ${depth}u;
  let list_at = block * ${stride}u + subgroup_lane;
  var inner = inner_start;
  var listed = row_lists[list_at + inner];`,
    end: "inner_end",
    stages: `(inner_end - inner_start) / ${depth}u`,
    ahead: `      listed = row_lists[list_at + inner + ${depth}u];`,
    listedRow: (place) => `subgroupShuffle(listed, ${place})`,
  };
}
