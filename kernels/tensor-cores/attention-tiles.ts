import { range } from "../range.ts";
import { FRAGMENT, SUBGROUP_SIZE } from "./fragment.ts";

/** The attention of one layer over sequences laid end to end. */
export interface TensorCoreAttention {
  /** Tokens of all sequences together. */
  tokens: number;
  heads: number;
  /** Heads of keys and values; each serves `heads / keyValueHeads` query heads. */
  keyValueHeads: number;
  /** A multiple of 8 up to 128; padded with zeros to 32, 64 or 128 inside. */
  headDim: number;
  /** The most tokens of a sequence. */
  longest: number;
}

/** A kernel's text, without extensions and bindings, and how to launch it. */
export interface AttentionKernel {
  code: string;
  /** Extensions that it needs beside those of every kernel on tensor cores. */
  extensions?: readonly string[];
  /** Workgroups to dispatch in x and y. */
  workgroups: [number, number];
}

/** Where a head of a token begins in an array, given WGSL for the token. */
type HeadIndex = (token: string) => string;

/** Rows of one side that pass by in tiles: its name, the array it lies in, and where. */
export interface Side {
  readonly name: string;
  readonly array: string;
  readonly index: HeadIndex;
}

const SUBGROUPS = 4;
export const LANES = SUBGROUPS * SUBGROUP_SIZE;

/** Columns of a tile that one lane reads: the inner dimension of one fragment. */
const COLUMNS = FRAGMENT.k;

const LEFT = `subgroup_matrix_left<f16, ${FRAGMENT.k}, ${FRAGMENT.m}>`;
const RIGHT = `subgroup_matrix_right<f16, ${FRAGMENT.n}, ${FRAGMENT.k}>`;
const RESULT = `subgroup_matrix_result<f32, ${FRAGMENT.n}, ${FRAGMENT.m}>`;

const lines = (count: number, line: (i: number) => string) => range(count).map(line).join("\n");

/** Rows that a subgroup owns: 32 of a wide head would not fit into its registers. */
export function rowsOf({ headDim }: TensorCoreAttention): number {
  return headDim > 64 ? 16 : 32;
}

/**
 * WGSL that the attention kernels share. Each subgroup owns rows of one side (queries, or keys with
 * their values) in fragments. Rows of the other side pass by in tiles, staged for all subgroups of
 * the workgroup. Products of own rows with a tile go to the subgroup's scratch, where a lane reads
 * sixteen numbers of one row, and where it leaves what it makes of them as halves, to be read as
 * fragments again: elements of fragments cannot be reached in any other way.
 *
 * A multiprocessor has about 48 KB for all its workgroups, which decides how many there are: a tile
 * that is multiplied with own rows is as long as lanes, sixteen columns each, cover.
 */
export class AttentionTiles {
  /** Rows that a workgroup owns. */
  readonly workgroupRows: number;
  /** Vectors of four numbers that a lane reads of a product. */
  readonly vectors = range(COLUMNS / 4);
  /** Vectors of eight halves in a head. */
  readonly headVectors: number;
  readonly #lanesPerRow: number;
  /** Columns of a product that all lanes of a row read together. */
  readonly #columns: number;
  /** Halves of a head with its padding: a power of two, so that lanes take whole rows of vectors. */
  readonly #width: number;
  /** Vectors of eight halves: of a token in `qkv`, of a staged row and what keeps banks apart. */
  readonly #tokenVectors: number;
  readonly #pitch: number;
  /** Vectors of four numbers in a scratch row, and in the scratch of a subgroup. */
  readonly #scratchPitch: number;
  readonly #scratch: number;

  /**
   * @param rows that a subgroup owns: 16 or 32
   * @param products that the scratch holds side by side
   * @param tile rows of the other side that are staged at a time: as many as lanes cover of a
   *   product's columns, where there are products of own rows with a tile
   * @throws RangeError where the head cannot be cut into whole vectors or is wider than 128
   */
  constructor(
    private readonly options: TensorCoreAttention,
    private readonly rows: number,
    products: number,
    readonly tile: number = COLUMNS * SUBGROUP_SIZE / rows,
  ) {
    const { heads, keyValueHeads, headDim } = options;
    if (headDim % 8 !== 0 || headDim > 128) {
      throw new RangeError(`headDim = ${headDim} is not a multiple of 8 up to 128`);
    }
    if (heads % keyValueHeads !== 0) {
      throw new RangeError(`${heads} heads do not share ${keyValueHeads} key and value heads`);
    }
    this.#lanesPerRow = SUBGROUP_SIZE / rows;
    this.#columns = COLUMNS * this.#lanesPerRow;
    this.workgroupRows = SUBGROUPS * rows;
    this.#width = Math.max(32, 2 ** Math.ceil(Math.log2(headDim)));
    this.headVectors = headDim / 8;
    this.#tokenVectors = (heads + 2 * keyValueHeads) * this.headVectors;
    this.#pitch = this.#width / 8 + 1;
    this.#scratchPitch = products * this.#columns / 4 + 1;
    this.#scratch = rows * this.#scratchPitch;
  }

  /** Queries in the fused projection; `head` must be in scope. */
  get queries(): Side {
    const index: HeadIndex = (token) =>
      `${token} * ${this.#tokenVectors}u + head * ${this.headVectors}u`;
    return { name: "queries", array: "qkv", index };
  }

  /** Keys in the fused projection; `shared_head` must be in scope. */
  get keys(): Side {
    const index: HeadIndex = (token) =>
      `${token} * ${this.#tokenVectors}u + (${this.options.heads}u + shared_head) * ` +
      `${this.headVectors}u`;
    return { name: "keys", array: "qkv", index };
  }

  /** Values in the fused projection; `shared_head` must be in scope. */
  get values(): Side {
    const { heads, keyValueHeads } = this.options;
    const index: HeadIndex = (token) =>
      `${token} * ${this.#tokenVectors}u + (${heads + keyValueHeads}u + shared_head) * ` +
      `${this.headVectors}u`;
    return { name: "values", array: "qkv", index };
  }

  /** Gradients of the outputs, laid out like those; `head` must be in scope. */
  get outputs(): Side {
    const index: HeadIndex = (token) =>
      `${token} * ${this.options.heads * this.headVectors}u + head * ${this.headVectors}u`;
    return { name: "outputs", array: "output_gradient", index };
  }

  /** Workgroup memory for the tiles of sides, and the scratch. */
  declareMemory(...sides: Side[]): string {
    return [
      ...sides.map(({ name }) =>
        `var<workgroup> staged_${name}: array<vec4<u32>, ${this.tile * this.#pitch}>;`
      ),
      `var<workgroup> scratch: array<vec4<u32>, ${SUBGROUPS * this.#scratch}>;`,
    ].join("\n");
  }

  /**
   * How many workgroups, `heads` of which own the same rows. Those with the most to do start first,
   * so that none is left alone at the end: x counts heads and sequences, y places in a sequence.
   */
  workgroups(heads: number): [number, number] {
    return [heads * Math.ceil(this.#blocks / this.#blocksPerSequence), this.#blocksPerSequence];
  }

  /**
   * The entry point's head, and where a lane stands: its token from `first` on, and `own_head`.
   *
   * @param heads of {@link workgroups}
   * @param most who has the most to do: early keys, which most queries see, or late queries
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
  let last = min(first + ${this.workgroupRows - 1}u, ${this.options.tokens - 1}u);
  let own_first = first + subgroup * ${this.rows}u;
  let own_scratch = subgroup * ${this.#scratch}u;
  let own_row = own_scratch + subgroup_lane / ${this.#lanesPerRow}u * ${this.#scratchPitch}u;
  // Lanes that share a row take parts of its columns.
  let part = subgroup_lane % ${this.#lanesPerRow}u;
  let own_part = own_row + part * ${COLUMNS / 4}u;
  let own_token = own_first + subgroup_lane / ${this.#lanesPerRow}u;
  let slot_row = lane / ${this.#width / 8}u;
  let slot_column = lane % ${this.#width / 8}u;`;
  }

  /** Loads own rows into fragments, through the scratch: zeros behind the head and the tokens. */
  loadOwn({ name, array, index }: Side): string {
    const perChunk = 32 / FRAGMENT.k;
    return range(this.#width / 32).map((chunk) =>
      `  workgroupBarrier();
  for (var v = part; v < 4u; v += ${this.#lanesPerRow}u) {
    var vector = vec4<u32>();
    if (${4 * chunk}u + v < ${this.headVectors}u && own_token < ${this.options.tokens}u) {
      vector = ${array}[${index("own_token")} + ${4 * chunk}u + v];
    }
    scratch[own_row + v] = vector;
  }
  workgroupBarrier();
${
        this.#down.flatMap((i) =>
          range(perChunk).map((k) =>
            `  let ${name}_${i}_${chunk * perChunk + k} = subgroupMatrixLoad<${LEFT}, ` +
            `row_major>(&scratch, ${this.#interleavedAt(i, k * FRAGMENT.k / 8)}, ` +
            `${this.#interleavedPitch}u);`
          )
        ).join("\n")
      }`
    ).join("\n");
  }

  /** Declares the registers through which a side's tiles pass. */
  declareFetched({ name }: Side): string {
    return lines(this.#slots, (i) => `  var fetched_${name}_${i}: vec4<u32>;`);
  }

  /** Reads a lane's share of the tile that begins at `token` into registers. */
  fetch({ name, array, index }: Side, token: string): string {
    return lines(this.#slots, (i) => {
      const row = `${token} + slot_row + ${i * this.#slotRows}u`;
      return `    fetched_${name}_${i} = vec4<u32>();
    if (slot_column < ${this.headVectors}u && ${row} < ${this.options.tokens}u) {
      fetched_${name}_${i} = ${array}[${index(`(${row})`)} + slot_column];
    }`;
    });
  }

  /** Puts what was fetched where the workgroup sees it. */
  stage({ name }: Side): string {
    return lines(this.#slots, (i) => {
      const put = `staged_${name}[(slot_row + ${i * this.#slotRows}u) * ${this.#pitch}u + ` +
        `slot_column] = fetched_${name}_${i};`;
      const fits = (i + 1) * this.#slotRows <= this.tile;
      return fits
        ? `    ${put}`
        : `    if (slot_row + ${i * this.#slotRows}u < ${this.tile}u) { ${put} }`;
    });
  }

  /** Own rows times a tile transposed, into the scratch's place for product `place`. */
  product(own: string, staged: Side, place = 0): string {
    return this.#tileBlocks.map((j) =>
      `    {
${this.#down.map((i) => `      var product_${i} = ${RESULT}();`).join("\n")}
${
        this.#headSteps.map((k) =>
          `      let tile_${k} = subgroupMatrixLoad<${RIGHT}, col_major>(` +
          `&staged_${staged.name}, ` +
          `${j * FRAGMENT.n * this.#pitch + k * FRAGMENT.k / 8}u, ${this.#pitch}u);\n` +
          this.#down.map((i) =>
            `      product_${i} = subgroupMatrixMultiplyAccumulate(${own}_${i}_${k}, tile_${k}, ` +
            `product_${i});`
          ).join("\n")
        ).join("\n")
      }
${
        this.#down.map((i) =>
          `      subgroupMatrixStore<row_major>(&scratch, ` +
          `${this.#interleavedAt(i, place * this.#columns / 4 + j * FRAGMENT.n / 4)}, ` +
          `product_${i}, ${this.#interleavedPitch}u);`
        ).join("\n")
      }
    }`
    ).join("\n");
  }

  /** Four numbers of a lane's part of product `place`. */
  read(vector: number, place = 0): string {
    return `bitcast<vec4<f32>>(scratch[own_part + ${place * this.#columns / 4 + vector}u])`;
  }

  /** The tile's columns that those four numbers belong to. */
  columns(vector: number): string {
    const four = range(4).map((x) => `${4 * vector + x}u`).join(", ");
    return `(part * ${COLUMNS}u + vec4<u32>(${four}))`;
  }

  /** Leaves a lane's numbers `name_0`, `name_1`… as halves in the place of the product it read. */
  leave(name: string, place = 0): string {
    return lines(COLUMNS / 8, (v) => {
      const halves = [2 * v, 2 * v + 1]
        .flatMap((four) => [`${name}_${four}.xy`, `${name}_${four}.zw`])
        .map((two) => `pack2x16float(${two})`);
      return `    scratch[own_part + ${place * this.#columns / 4 + v}u] = ` +
        `vec4<u32>(${halves.join(", ")});`;
    });
  }

  /** Takes what {@link leave} left into fragments. */
  take(name: string, place = 0): string {
    return this.#down.flatMap((i) =>
      this.#tileSteps.map((k) =>
        `    let ${name}_${i}_${k} = subgroupMatrixLoad<${LEFT}, row_major>(&scratch, ` +
        `${
          this.#scratchAt(i, place * this.#columns / 4 + k * COLUMNS / 4)
        }, ${this.#scratchPitch}u);`
      )
    ).join("\n");
  }

  /**
   * Puts what {@link leave} left into memory, sixteen columns of all own rows at a time.
   *
   * @param store WGSL for a vector, given the first column, the vector's number and its value
   */
  copyLeft(place: number, store: (columns: number, vector: string, value: string) => string) {
    return range(this.#lanesPerRow).flatMap((part) =>
      this.#down.map((i) => {
        const row = `(subgroup_lane / 2u + ${i * FRAGMENT.m}u)`;
        const column = (place * this.#columns + part * COLUMNS) / 4;
        const value = `scratch[own_scratch + ${row} * ${this.#scratchPitch}u + ${column}u + ` +
          `subgroup_lane % 2u]`;
        return `    ${store(part * COLUMNS, `subgroup_lane + ${i * SUBGROUP_SIZE}u`, value)}`;
      })
    ).join("\n");
  }

  /** Declares the registers through which columns of own rows pass, two vectors of each tile's row. */
  declareColumns(name: string): string {
    return this.#columnSlots.map(({ slot }) => `  var fetched_${name}_${slot}: vec4<u32>;`)
      .join("\n");
  }

  /**
   * Reads a lane's share into registers, or zeros.
   *
   * @param source WGSL for sixteen own rows: whether there are any, and where their vectors begin
   */
  fetchColumns(
    name: string,
    array: string,
    source: (rows: number) => { condition: string; at: string },
  ): string {
    return this.#columnSlots.map(({ rows, vector, slot }) => {
      const { condition, at } = source(rows);
      return `    fetched_${name}_${slot} = vec4<u32>();
    if (${condition}) { fetched_${name}_${slot} = ${array}[${at} + ${vector}u + subgroup_lane]; }`;
    }).join("\n");
  }

  /** Puts what was fetched into the subgroup's scratch. */
  stageColumns(name: string): string {
    return this.#columnSlots.map(({ rows, vector, slot }) =>
      `    scratch[own_scratch + (subgroup_lane / 2u + ${vector / 2}u) * ${this.#columnPitch}u + ` +
      `${rows / 8}u + subgroup_lane % 2u] = fetched_${name}_${slot};`
    ).join("\n");
  }

  /** Takes the columns of own rows into fragments. */
  takeColumns(name: string): string {
    return this.#down.flatMap((i) =>
      this.#tileSteps.map((k) =>
        `    let ${name}_${i}_${k} = subgroupMatrixLoad<${LEFT}, col_major>(&scratch, own_scratch + ` +
        `${k * FRAGMENT.k * this.#columnPitch + i * FRAGMENT.m / 8}u, ${this.#columnPitch}u);`
      )
    ).join("\n");
  }

  /** Sums += what was taken, times a tile. */
  accumulate(sums: string, taken: string, staged: Side): string {
    return this.#tileSteps.flatMap((k) =>
      this.#headBlocks.map((j) =>
        `    {
      let tile = subgroupMatrixLoad<${RIGHT}, row_major>(&staged_${staged.name}, ` +
        `${k * FRAGMENT.k * this.#pitch + j * FRAGMENT.n / 8}u, ${this.#pitch}u);
${
          this.#down.map((i) =>
            `      ${sums}_${i}_${j} = subgroupMatrixMultiplyAccumulate(${taken}_${i}_${k}, tile, ` +
            `${sums}_${i}_${j});`
          ).join("\n")
        }
    }`
      )
    ).join("\n");
  }

  /** Declares sums [own rows, head], at zero. */
  declareSums(name: string): string {
    return this.#down.flatMap((i) =>
      this.#headBlocks.map((j) => `  var ${name}_${i}_${j}: ${RESULT};`)
    ).join("\n");
  }

  /** Multiplies each row of sums by its lane's `factor`. For the whole workgroup. */
  scaleSums(name: string, factor: string): string {
    return this.#chunks(name).map((fragments) =>
      `      workgroupBarrier();
${fragments.map(({ sum, at }) => `      ${this.#store(sum, at)}`).join("\n")}
      workgroupBarrier();
      for (var v = part; v < ${this.#columns / 4}u; v += ${this.#lanesPerRow}u) {
        scratch[own_row + v] =
          bitcast<vec4<u32>>(bitcast<vec4<f32>>(scratch[own_row + v]) * ${factor});
      }
      workgroupBarrier();
${
        fragments.map(({ sum, at }) =>
          `      ${sum} = subgroupMatrixLoad<${RESULT}, row_major>(&scratch, ${at}, ` +
          `${this.#scratchPitch}u);`
        ).join("\n")
      }`
    ).join("\n");
  }

  /** Writes sums as halves, each row times its lane's `factor`. For the whole workgroup. */
  writeSums(name: string, array: string, index: HeadIndex, factor: string): string {
    const perChunk = this.#columns / 8;
    return this.#chunks(name).map((fragments, chunk) =>
      `  workgroupBarrier();
${fragments.map(({ sum, at }) => `  ${this.#store(sum, at)}`).join("\n")}
  workgroupBarrier();
  if (own_token < ${this.options.tokens}u) {
    for (var v = part; v < ${Math.min(perChunk, this.headVectors - perChunk * chunk)}u; ` +
      `v += ${this.#lanesPerRow}u) {
      let low = bitcast<vec4<f32>>(scratch[own_row + 2u * v]) * ${factor};
      let high = bitcast<vec4<f32>>(scratch[own_row + 2u * v + 1u]) * ${factor};
      ${array}[${index("own_token")} + ${perChunk * chunk}u + v] =
        vec4<u32>(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy),
          pack2x16float(high.zw));
    }
  }`
    ).filter((_, chunk) => perChunk * chunk < this.headVectors).join("\n");
  }

  /** Folds a variable over the lanes that share a row. */
  foldRow(variable: string, fold: (a: string, b: string) => string): string {
    return range(Math.log2(this.#lanesPerRow)).map((step) =>
      `    ${variable} = ${fold(variable, `subgroupShuffleXor(${variable}, ${1 << step}u)`)};`
    ).join("\n");
  }

  get #blocks() {
    return Math.ceil(this.options.tokens / this.workgroupRows);
  }
  get #blocksPerSequence() {
    return Math.ceil(this.options.longest / this.workgroupRows);
  }
  get #down() {
    return range(this.rows / FRAGMENT.m);
  }
  get #tileBlocks() {
    return range(this.tile / FRAGMENT.n);
  }
  get #tileSteps() {
    return range(this.tile / FRAGMENT.k);
  }
  get #headBlocks() {
    return range(this.#width / FRAGMENT.n);
  }
  get #headSteps() {
    return range(this.#width / FRAGMENT.k);
  }

  /** Vectors of a tile that a lane fetches, and rows between two of them. */
  get #slots() {
    return Math.ceil(this.tile / this.#slotRows);
  }
  get #slotRows() {
    return LANES / (this.#width / 8);
  }

  /** What a lane carries of columns: for sixteen own rows, from a vector on. */
  get #columnSlots() {
    const perRows = 2 * this.tile / SUBGROUP_SIZE;
    return range(this.rows / 16 * perRows).map((slot) => ({
      slot,
      rows: 16 * Math.floor(slot / perRows),
      vector: slot % perRows * SUBGROUP_SIZE,
    }));
  }
  get #columnPitch() {
    return this.rows / 8 + 1;
  }

  #scratchAt(fragmentRow: number, vector: number): string {
    return `own_scratch + ${fragmentRow * FRAGMENT.m * this.#scratchPitch + vector}u`;
  }

  /**
   * Where fragment `i` of own rows that are multiplied begins: it takes every second row where there
   * are two, so that rows a fragment's lanes store at once fall into different banks.
   */
  #interleavedAt(i: number, vector: number): string {
    return `own_scratch + ${i * this.#scratchPitch + vector}u`;
  }
  get #interleavedPitch() {
    return this.#down.length * this.#scratchPitch;
  }

  #store(sum: string, at: string): string {
    return `subgroupMatrixStore<row_major>(&scratch, ${at}, ${sum}, ${this.#scratchPitch}u);`;
  }

  /** Sums in groups that fit into the scratch's first product, and where each fragment goes. */
  #chunks(name: string): { sum: string; at: string }[][] {
    const perChunk = this.#columns / FRAGMENT.n;
    return range(this.#width / this.#columns).map((chunk) =>
      this.#down.flatMap((i) =>
        range(perChunk).map((j) => ({
          sum: `${name}_${i}_${chunk * perChunk + j}`,
          at: this.#scratchAt(i, j * FRAGMENT.n / 4),
        }))
      )
    );
  }
}
