import { range } from "../../wgsl/range.ts";
import type { FragmentShape } from "../../runtime/fragment.ts";
import { HALVES, laneRow, type StagedTile } from "./staged-tile.ts";

/** The matrix of which a workgroup stages tiles. */
interface Source {
  /** Rows or columns that it gives the result. */
  size: number;
  /** Elements between its rows in memory. */
  stride: number;
  /** The part of the inner dimension that a workgroup goes through. */
  inner: number;
  /** WGSL for the first row or column of the workgroup's tile. */
  first: "first_row" | "first_column";
  /** Elements from one matrix of a batch to the next; 0 for a single one. */
  apart: number;
  /** WGSL of the row at a place of the next stage, where rows are not taken one after the other. */
  listedRow?: (place: string) => string;
}

/**
 * One operand's way from memory through registers into workgroup memory and on into fragments, as
 * statements of WGSL. In scope must be `workgroup`, `lane`, `inner_start`, `inner` (the inner position
 * of the next stage) and `first`; `staged` is the workgroup's memory.
 */
export class StagedOperand {
  /** Whether the last tile reaches past the end of the matrix. */
  readonly #ragged: boolean;

  constructor(private readonly tile: StagedTile, private readonly source: Source) {
    this.#ragged = source.size % (tile.innerContiguous ? tile.rows : tile.columns) !== 0;
  }

  /** 16-byte vectors of one stage's buffer. */
  get size(): number {
    return this.tile.size;
  }

  /** Where a lane begins to read and to store. */
  position(): string {
    const { name, innerContiguous, pitch, vectorsPerRow } = this.tile;
    const { size, first, listedRow } = this.source;
    const stride = this.source.stride / HALVES;
    const start = !innerContiguous
      ? `(inner_start + ${name}_row) * ${stride}u`
      : this.#ragged
      ? "inner_start / 8u"
      : `(${first} + ${name}_row) * ${stride}u + inner_start / 8u`;
    const column = innerContiguous || !this.#ragged
      ? `${name}_column`
      : `min(${name}_column, ${size / HALVES - 1}u - ${first} / ${HALVES}u)`;
    const { apart } = this.source;
    const across = (innerContiguous ? "" : ` + ${first} / ${HALVES}u`) +
      (apart > 0 ? ` + workgroup.z * ${apart / HALVES}u` : "");
    // The column in memory where rows come from a list, else the first vector.
    const at = listedRow ? `let ${name}_across = ` : `var ${name}_at = ${start} + `;
    const skips = !this.#clampsRows
      ? ""
      : "\n" + this.#eachVector((i, row) =>
        `  let ${name}_skip_${i} = min(${first} + ${row}, ${size - 1}u) * ${stride}u;`
      );
    return `  let ${name}_row = ${laneRow(this.tile)};
  let ${name}_column = lane % ${vectorsPerRow}u;
  ${at}${column}${across};
  let ${name}_slot = ${name}_row * ${pitch / HALVES}u + ${name}_column;${skips}`;
  }

  /** Where a subgroup's fragments begin, given WGSL for its first row or column in the tile. */
  fragmentStart(outer: string): string {
    const { name, innerContiguous, pitch } = this.tile;
    return `  let ${name}_fragment = ${outer} * ${innerContiguous ? pitch : 1}u / ${HALVES}u;`;
  }

  /** The registers of one stage. */
  registers(): string {
    return this.#eachVector((i) => `  var ${this.tile.name}_${i}: vec4<u32>;`);
  }

  /** Reads the next stage into registers and moves on; past the end of the inner part are zeros. */
  fetch(): string {
    const { name, innerContiguous, rows, columns, rowStep } = this.tile;
    const { inner, listedRow } = this.source;
    const stride = this.source.stride / HALVES;
    if (listedRow) {
      return this.#eachVector((i, row) =>
        `      ${name}_${i} = matrix_${name}[${listedRow(row)} * ${stride}u + ${name}_across];`
      );
    }
    const depth = innerContiguous ? columns : rows;
    const loads = this.#eachVector((i, row) => {
      const skip = this.#clampsRows ? `${name}_skip_${i}` : `${i * rowStep * stride}u`;
      const load = `${name}_${i} = matrix_${name}[${name}_at + ${skip}];`;
      if (inner % depth === 0) return `      ${load}`;
      const position = innerContiguous ? `${name}_column * ${HALVES}u` : row;
      return `      ${name}_${i} = vec4<u32>();\n` +
        `      if (inner + ${position} < ${inner}u) { ${load} }`;
    });
    const advance = innerContiguous ? depth / HALVES : depth * stride;
    return `${loads}\n      ${name}_at += ${advance}u;`;
  }

  /** A stage of zeros in the registers. */
  clear(): string {
    return this.#eachVector((i) => `      ${this.tile.name}_${i} = vec4<u32>();`);
  }

  /** Puts the registers into the buffer that begins at `base`, in vectors. */
  put(base: number): string {
    const { name, rowStep, pitch } = this.tile;
    return this.#eachVector((i) =>
      `    staged[${name}_slot + ${base + i * rowStep * pitch / HALVES}u] = ${name}_${i};`
    );
  }

  /** The fragment of a step that starts `outer` rows or columns into the subgroup's part. */
  loadFragment(type: string, fragment: FragmentShape, base: number, outer: number, step: number) {
    const { name, innerContiguous, pitch } = this.tile;
    const offset = innerContiguous
      ? outer * pitch + step * fragment.k
      : step * fragment.k * pitch + outer;
    const majorness = (name === "a") === innerContiguous ? "row_major" : "col_major";
    return `subgroupMatrixLoad<${type}, ${majorness}>(&staged, ` +
      `${name}_fragment + ${base + offset / HALVES}u, ${pitch / HALVES}u)`;
  }

  /** Rows past the end are read as the last one. */
  get #clampsRows(): boolean {
    return this.tile.innerContiguous && this.#ragged;
  }

  /** A statement for each vector of a lane, given its number and WGSL for its row in the tile. */
  #eachVector(statement: (i: number, row: string) => string): string {
    const { name, vectorsPerLane, rowStep } = this.tile;
    return range(vectorsPerLane).map((i) => statement(i, `${name}_row + ${i * rowStep}u`))
      .join("\n");
  }
}
