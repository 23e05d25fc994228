import { range } from "../../wgsl/range.ts";
import type { TensorCoreAttention } from "./attention-kernel.ts";
import { FRAGMENT, SUBGROUP_SIZE } from "../../runtime/fragment.ts";

const SUBGROUPS = 4;

/** Lanes of a workgroup. */
export const LANES = SUBGROUPS * SUBGROUP_SIZE;

/** Columns of a product that one lane reads: the inner dimension of one fragment. */
export const LANE_COLUMNS = FRAGMENT.k;

/** WGSL types of fragments: own rows on the left, a tile on the right, and their product. */
export const LEFT = `subgroup_matrix_left<f16, ${FRAGMENT.k}, ${FRAGMENT.m}>`;
export const RIGHT = `subgroup_matrix_right<f16, ${FRAGMENT.n}, ${FRAGMENT.k}>`;
export const RESULT = `subgroup_matrix_result<f32, ${FRAGMENT.n}, ${FRAGMENT.m}>`;

/**
 * How workgroups and subgroups share a layer's attention. Each subgroup owns rows of one side
 * (queries, or keys with their values) in fragments. Rows of the other side pass by in tiles, staged
 * for all subgroups of the workgroup. Lanes can read a fragment's elements only in workgroup memory:
 * for this each subgroup has a scratch with a row for each of its own rows.
 *
 * A multiprocessor has about 48 KB of workgroup memory for all its workgroups, which limits how many
 * run at once. So tiles are short: the lanes of a row read sixteen columns of a product each, and a
 * tile has as many rows as they read columns.
 */
export class WorkPartition {
  /** Rows that a subgroup owns: 32 of a wide head would not fit into its registers. */
  readonly rows: number;
  /** Rows that a workgroup owns. */
  readonly workgroupRows: number;
  /** Lanes that share an own row. */
  readonly lanesPerRow: number;
  /** Columns of a product that all lanes of a row read together. */
  readonly productColumns: number;
  /** Rows of the other side that are staged at a time. */
  readonly tile: number;
  /** Vectors of eight halves in a head. */
  readonly headVectors: number;
  /** Halves of a head with its padding: a power of two, so that lanes take whole rows of vectors. */
  readonly paddedHeadDim: number;
  /** Vectors of four numbers in a scratch row: the products, and one more against bank conflicts. */
  readonly scratchPitch: number;
  /** Fragments that own rows take. */
  readonly rowFragments: readonly number[];
  /** Steps of a sum over a tile's rows, a fragment each. */
  readonly tileSteps: readonly number[];
  /** Vectors of four numbers in the scratch of a subgroup. */
  readonly #scratchSize: number;

  /**
   * @param products that the scratch holds side by side
   * @param tile rows of the other side that are staged at a time: as many as lanes cover of a
   *   product's columns, where there are products of own rows with a tile
   * @throws RangeError where the head cannot be cut into whole vectors or is wider than 128
   */
  constructor(
    readonly layer: TensorCoreAttention,
    { products = 1, tile }: { products?: number; tile?: number } = {},
  ) {
    const { heads, keyValueHeads, headDim } = layer;
    if (headDim % 8 !== 0 || headDim > 128) {
      throw new RangeError(`headDim = ${headDim} is not a multiple of 8 up to 128`);
    }
    if (heads % keyValueHeads !== 0) {
      throw new RangeError(`${heads} heads do not share ${keyValueHeads} key and value heads`);
    }
    this.rows = headDim > 64 ? 16 : 32;
    this.workgroupRows = SUBGROUPS * this.rows;
    this.lanesPerRow = SUBGROUP_SIZE / this.rows;
    this.productColumns = LANE_COLUMNS * this.lanesPerRow;
    this.tile = tile ?? this.productColumns;
    this.headVectors = headDim / 8;
    this.paddedHeadDim = Math.max(32, 2 ** Math.ceil(Math.log2(headDim)));
    this.scratchPitch = products * this.productColumns / 4 + 1;
    this.rowFragments = range(this.rows / FRAGMENT.m);
    this.tileSteps = range(this.tile / FRAGMENT.k);
    this.#scratchSize = this.rows * this.scratchPitch;
  }

  /**
   * How many workgroups, `heads` of which own the same rows. Those with the most to do start first,
   * so that none is left alone at the end: x counts heads and sequences, y places in a sequence.
   */
  workgroups(heads: number): [number, number] {
    return [heads * Math.ceil(this.#blocks / this.#blocksPerSequence), this.#blocksPerSequence];
  }

  /** Workgroup memory for the scratch of all subgroups. */
  declareScratch(): string {
    return `var<workgroup> scratch: array<vec4<u32>, ${SUBGROUPS * this.#scratchSize}>;`;
  }

  /**
   * The beginning of the entry point, with what a lane works on: its `own_head`, its `own_token`, its
   * part of that row in the scratch, and the first vector of a tile that it fetches.
   *
   * @param heads as for {@linkcode WorkPartition.workgroups}
   * @param most which workgroups have the most to do: those of early keys, which most queries see, or
   *   those of late queries
   */
  begin(heads: number, most: "early" | "late"): string {
    const place = most === "early"
      ? "workgroup.y"
      : `(${this.#blocksPerSequence - 1}u - workgroup.y)`;
    return `@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let own_head = workgroup.x % ${heads}u;
  let block = workgroup.x / ${heads}u * ${this.#blocksPerSequence}u + ${place};
  if (block >= ${this.#blocks}u) { return; }
  let first = block * ${this.workgroupRows}u;
  let last = min(first + ${this.workgroupRows - 1}u, ${this.layer.tokens - 1}u);
  let own_first = first + subgroup * ${this.rows}u;
  let own_scratch = subgroup * ${this.#scratchSize}u;
  let own_row = own_scratch + subgroup_lane / ${this.lanesPerRow}u * ${this.scratchPitch}u;
  // Lanes that share a row take parts of its columns.
  let part = subgroup_lane % ${this.lanesPerRow}u;
  let own_part = own_row + part * ${LANE_COLUMNS / 4}u;
  let own_token = own_first + subgroup_lane / ${this.lanesPerRow}u;
  let slot_row = lane / ${this.paddedHeadDim / 8}u;
  let slot_column = lane % ${this.paddedHeadDim / 8}u;`;
  }

  /** Where a fragment of own rows begins in the scratch, from a vector of its rows on. */
  scratchAt(rowFragment: number, vector: number): string {
    return `own_scratch + ${rowFragment * FRAGMENT.m * this.scratchPitch + vector}u`;
  }

  /** Folds a variable over the lanes that share a row. */
  foldRow(variable: string, fold: (a: string, b: string) => string): string {
    return range(Math.log2(this.lanesPerRow)).map((step) =>
      `    ${variable} = ${fold(variable, `subgroupShuffleXor(${variable}, ${1 << step}u)`)};`
    ).join("\n");
  }

  get #blocks() {
    return Math.ceil(this.layer.tokens / this.workgroupRows);
  }
  get #blocksPerSequence() {
    return Math.ceil(this.layer.longest / this.workgroupRows);
  }
}
