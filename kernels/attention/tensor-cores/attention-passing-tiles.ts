import { range } from "../../wgsl/range.ts";
import { LANES, RIGHT, type WorkPartition } from "./attention-partition.ts";
import type { Side } from "./attention-sides.ts";

/**
 * WGSL that reads the rows of a side in tiles: a lane fetches its share of a tile into registers
 * while the tile before is still in use, and later stages it for the whole workgroup.
 */
export class PassingTiles {
  /** Vectors of eight halves in a staged row, one of them against bank conflicts. */
  readonly #pitch: number;
  /** Vectors of a tile that a lane fetches, and rows between two of them. */
  readonly #slots: number;
  readonly #slotRows: number;

  constructor(private readonly partition: WorkPartition, private readonly side: Side) {
    this.#pitch = partition.paddedHeadDim / 8 + 1;
    this.#slotRows = LANES / (partition.paddedHeadDim / 8);
    this.#slots = Math.ceil(partition.tile / this.#slotRows);
  }

  /** Workgroup memory for a tile. */
  declareMemory(): string {
    const size = this.partition.tile * this.#pitch;
    return `var<workgroup> staged_${this.side.name}: array<vec4<u32>, ${size}>;`;
  }

  /** Declares the registers through which tiles pass. */
  declareRegisters(): string {
    return this.#eachSlot((i) => `  var ${this.#fetched(i)}: vec4<u32>;`);
  }

  /** Reads a lane's share of the tile that begins at `token` into registers. */
  fetch(token: string): string {
    const { headVectors, layer: { tokens } } = this.partition;
    const { array, index } = this.side;
    return this.#eachSlot((i) => {
      const row = `${token} + slot_row + ${i * this.#slotRows}u`;
      return `    ${this.#fetched(i)} = vec4<u32>();
    if (slot_column < ${headVectors}u && ${row} < ${tokens}u) {
      ${this.#fetched(i)} = ${array}[${index(`(${row})`)} + slot_column];
    }`;
    });
  }

  /** Puts what was fetched into workgroup memory. */
  stage(): string {
    const { tile } = this.partition;
    return this.#eachSlot((i) => {
      const row = `slot_row + ${i * this.#slotRows}u`;
      const put = `staged_${this.side.name}[(${row}) * ${this.#pitch}u + slot_column] = ` +
        `${this.#fetched(i)};`;
      const fits = (i + 1) * this.#slotRows <= tile;
      return fits ? `    ${put}` : `    if (${row} < ${tile}u) { ${put} }`;
    });
  }

  /** Loads a fragment of the staged tile from a row and a column on, which is a multiple of 8. */
  fragment(order: "row_major" | "col_major", row: number, column: number): string {
    return `subgroupMatrixLoad<${RIGHT}, ${order}>(&staged_${this.side.name}, ` +
      `${row * this.#pitch + column / 8}u, ${this.#pitch}u)`;
  }

  #fetched(slot: number): string {
    return `fetched_${this.side.name}_${slot}`;
  }

  #eachSlot(text: (slot: number) => string): string {
    return range(this.#slots).map(text).join("\n");
  }
}
