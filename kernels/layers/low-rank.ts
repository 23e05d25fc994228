import { read, update, write } from "../runtime/dispatch.ts";
import { type Graph, Tensor } from "../runtime/graph.ts";
import type { Dropout } from "./dropout.ts";

/** The update of some rows of a weight: scale · B · A. */
export interface LowRankPart {
  /** The first of the rows. */
  readonly firstRow: number;
  /** How many rows: those of B. */
  readonly rows: number;
  /** Rows of A, columns of B. */
  readonly rank: number;
  /** By what the product is multiplied. */
  readonly scale: number;
}

/**
 * An update of low rank for a weight [batch, out, in] (LoRA: Hu et al., arXiv 2106.09685). Rows of
 * the weight may have updates of their own, as each of several projections in one stack has.
 */
export interface LowRankUpdate {
  /** [batch, sum of ranks, in] f32, with a copy in f16 where inputs are f16: A of every part. */
  readonly down: Tensor;
  /** [batch, numbers of all parts] f32: of every part B [rows, rank], one behind the other. */
  readonly up: Tensor;
  /** The rows with updates, first to last; the same for each of the batch. */
  readonly parts: readonly LowRankPart[];
  /** In training, drops inputs of A. */
  readonly dropout?: Dropout;
}

/** A weight to which `linear` adds an update. */
export class AdaptedWeight extends Tensor {
  /** Sees the memory of a weight of `persistent` together with its update. */
  constructor(weight: Tensor, readonly lowRank: LowRankUpdate) {
    super(weight.storage, weight.shape, weight.dtype);
  }
}

/**
 * All updates of a weight as one matrix [batch, out, sum of ranks]: scale · B of each part in its
 * rows and in columns of its own, 0 elsewhere.
 *
 * @param weight [batch, out, in] or [out, in]
 * @param dtype type of the rows that it will be multiplied with
 * @returns f32, or with a copy in f16 alone; its gradient is f32
 */
export function expandUp(graph: Graph, weight: AdaptedWeight, dtype: "f32" | "f16"): Tensor {
  const { lowRank: { down, up } } = weight;
  const [batch, rank] = down.shape;
  const outputs = weight.shape.at(-2)!;
  const places = placesOf(weight.lowRank);
  const length = up.size / batch;
  const expanded = graph.tensor("low-rank up", [batch, outputs, rank]);
  if (dtype === "f16") expanded.half = graph.tensor("low-rank up.half", expanded.shape, "f16");
  graph.elementwise(
    "expand low-rank up",
    expanded.size,
    { up: read(up), expanded: write(expanded.half ?? expanded) },
    `let row = i / ${rank}u % ${outputs}u;
    let column = i % ${rank}u;
    let start = i / ${outputs * rank}u * ${length}u;
    var value = 0f;
    ${
      places.map(({ firstRow, rows, firstColumn, rank, first, scale }) =>
        `if (row >= ${firstRow}u && row < ${firstRow + rows}u &&
      column >= ${firstColumn}u && column < ${firstColumn + rank}u) {
      value = ${scale}f * up[start + ${first}u + (row - ${firstRow}u) * ${rank}u + column - ${firstColumn}u];
    }`
      ).join("\n    ")
    }
    expanded[i] = expanded_type(value);`,
  );

  graph.onBackward(expanded, (dexpanded) => {
    const dup = graph.gradientTarget(up);
    if (!dup) return;
    graph.elementwise(
      "low-rank up gradient",
      up.size,
      { dexpanded: read(dexpanded), dup: update(dup.tensor) },
      `let at = i % ${length}u;
    let start = i / ${length}u * ${outputs * rank}u;
    ${
        places.map(({ firstRow, rows, firstColumn, rank: own, first, scale }) =>
          `if (at >= ${first}u && at < ${first + rows * own}u) {
      let row = ${firstRow}u + (at - ${first}u) / ${own}u;
      let column = ${firstColumn}u + (at - ${first}u) % ${own}u;
      dup[i] += ${scale}f * dexpanded[start + row * ${rank}u + column];
    }`
        ).join("\n    ")
      }`,
    );
  });
  return expanded;
}

/** Each part with its first number in `up`, and its first column in the matrix of all. */
function placesOf({ parts }: LowRankUpdate) {
  let [first, firstColumn] = [0, 0];
  return parts.map((part) => {
    const place = { ...part, first, firstColumn };
    first += part.rows * part.rank;
    firstColumn += part.rank;
    return place;
  });
}
