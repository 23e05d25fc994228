import { range } from "../../wgsl/range.ts";
import { LANE_COLUMNS, LEFT, RESULT, type WorkPartition } from "./attention-partition.ts";
import type { Side } from "./attention-sides.ts";
import type { PassingTiles } from "./attention-passing-tiles.ts";
import { FRAGMENT, SUBGROUP_SIZE } from "../../runtime/fragment.ts";

/** Columns of a head that are loaded at a time: as many halves as the shortest scratch row holds. */
const LOADED_COLUMNS = 32;

/**
 * WGSL that loads own rows of a side into fragments `side_0_0`…, through the scratch: zeros behind
 * the head and the tokens. For the whole workgroup.
 */
export function loadOwn(partition: WorkPartition, { name, array, index }: Side): string {
  const { headVectors, paddedHeadDim, lanesPerRow, layer, rowFragments } = partition;
  const vectors = LOADED_COLUMNS / 8, steps = LOADED_COLUMNS / FRAGMENT.k;
  return range(paddedHeadDim / LOADED_COLUMNS).map((chunk) =>
    `  workgroupBarrier();
  for (var v = part; v < ${vectors}u; v += ${lanesPerRow}u) {
    var vector = vec4<u32>();
    if (${vectors * chunk}u + v < ${headVectors}u && own_token < ${layer.tokens}u) {
      vector = ${array}[${index("own_token")} + ${vectors * chunk}u + v];
    }
    scratch[own_row + v] = vector;
  }
  workgroupBarrier();
${
      rowFragments.flatMap((i) =>
        range(steps).map((k) =>
          `  let ${name}_${i}_${chunk * steps + k} = subgroupMatrixLoad<${LEFT}, row_major>` +
          `(&scratch, ${interleavedAt(partition, i, k * FRAGMENT.k / 8)}, ` +
          `${interleavedPitch(partition)}u);`
        )
      ).join("\n")
    }`
  ).join("\n");
}

/**
 * WGSL of a product of own rows with a transposed tile. The product is stored in the subgroup's
 * scratch; there a lane reads sixteen numbers of one row, and there it leaves its own results as
 * halves, which are then loaded as fragments again.
 */
export class TileProduct {
  /** Vectors of four numbers that a lane reads. */
  readonly vectors = range(LANE_COLUMNS / 4);
  /** The first of its vectors in a scratch row. */
  readonly #first: number;

  /** @param place among the products that lie side by side in the scratch */
  constructor(private readonly partition: WorkPartition, place = 0) {
    this.#first = place * partition.productColumns / 4;
  }

  /** Multiplies own rows, loaded by {@link loadOwn}, with the staged tile, into the scratch. */
  multiply({ name }: Side, tiles: PassingTiles): string {
    const { paddedHeadDim, rowFragments, tile } = this.partition;
    return range(tile / FRAGMENT.n).map((j) =>
      `    {
${rowFragments.map((i) => `      var product_${i} = ${RESULT}();`).join("\n")}
${
        range(paddedHeadDim / FRAGMENT.k).map((k) =>
          `      let tile_${k} = ` +
          `${tiles.fragment("col_major", j * FRAGMENT.n, k * FRAGMENT.k)};\n` +
          rowFragments.map((i) =>
            `      product_${i} = subgroupMatrixMultiplyAccumulate(${name}_${i}_${k}, tile_${k}, ` +
            `product_${i});`
          ).join("\n")
        ).join("\n")
      }
${
        rowFragments.map((i) =>
          `      subgroupMatrixStore<row_major>(&scratch, ` +
          `${interleavedAt(this.partition, i, this.#first + j * FRAGMENT.n / 4)}, ` +
          `product_${i}, ${interleavedPitch(this.partition)}u);`
        ).join("\n")
      }
    }`
    ).join("\n");
  }

  /** Four numbers of a lane's part. */
  read(vector: number): string {
    return `bitcast<vec4<f32>>(scratch[own_part + ${this.#first + vector}u])`;
  }

  /** The tile's columns that those four numbers belong to. */
  columns(vector: number): string {
    const four = range(4).map((x) => `${4 * vector + x}u`).join(", ");
    return `(part * ${LANE_COLUMNS}u + vec4<u32>(${four}))`;
  }

  /** Leaves a lane's numbers `name_0`, `name_1`… as halves in place of those it read. */
  leave(name: string): string {
    return range(LANE_COLUMNS / 8).map((v) => {
      const halves = [2 * v, 2 * v + 1]
        .flatMap((four) => [`${name}_${four}.xy`, `${name}_${four}.zw`])
        .map((two) => `pack2x16float(${two})`);
      return `    scratch[own_part + ${this.#first + v}u] = vec4<u32>(${halves.join(", ")});`;
    }).join("\n");
  }

  /** Takes what {@link leave} left into fragments `name_0_0`…. */
  take(name: string): string {
    const { rowFragments, scratchPitch, tileSteps } = this.partition;
    return rowFragments.flatMap((i) =>
      tileSteps.map((k) =>
        `    let ${name}_${i}_${k} = subgroupMatrixLoad<${LEFT}, row_major>(&scratch, ` +
        `${this.partition.scratchAt(i, this.#first + k * LANE_COLUMNS / 4)}, ${scratchPitch}u);`
      )
    ).join("\n");
  }

  /**
   * Puts what {@link leave} left into memory, sixteen columns of all own rows at a time.
   *
   * @param store WGSL for a vector, given the first column, the vector's number and its value
   */
  copyOut(store: (columns: number, vector: string, value: string) => string): string {
    const { lanesPerRow, rowFragments, scratchPitch } = this.partition;
    return range(lanesPerRow).flatMap((part) =>
      rowFragments.map((i) => {
        const row = `(subgroup_lane / 2u + ${i * FRAGMENT.m}u)`;
        const column = this.#first + part * LANE_COLUMNS / 4;
        const value = `scratch[own_scratch + ${row} * ${scratchPitch}u + ${column}u + ` +
          `subgroup_lane % 2u]`;
        return `    ${store(part * LANE_COLUMNS, `subgroup_lane + ${i * SUBGROUP_SIZE}u`, value)}`;
      })
    ).join("\n");
  }
}

/**
 * Where fragment `i` of own rows that are multiplied begins: it takes every second row where there
 * are two, so that rows a fragment's lanes store at once fall into different banks.
 */
function interleavedAt({ scratchPitch }: WorkPartition, i: number, vector: number): string {
  return `own_scratch + ${i * scratchPitch + vector}u`;
}

function interleavedPitch({ rowFragments, scratchPitch }: WorkPartition): number {
  return rowFragments.length * scratchPitch;
}
