import { vectorOf } from "../runtime/dispatch.ts";
import { type MatmulKernel, type MatrixProduct, productPlaces } from "./product.ts";
import { range } from "../wgsl/range.ts";

/** Depth of the slab of k that a workgroup stages at a time. */
const DEPTH = 16;
/** A workgroup is SIDE × SIDE invocations, each with a square part of the tile of c. */
const SIDE = 16;
/** Fewer large tiles than this leave part of a big GPU idle: then the small tile is used. */
const ENOUGH_TILES = 128;

/**
 * The matrix product for GPUs in plain f32: tiles of `a` and `b` staged in workgroup memory as
 * [k][row / 4], the next slab fetched into registers while the current one is multiplied, every
 * loop inside a slab unrolled.
 *
 * @param locate WGSL that declares the places of `productPlaces` where they are not the batch's own;
 *   `first_k` is a multiple of 16
 */
export function tiledKernel(product: MatrixProduct, locate?: string): MatmulKernel {
  const { layout, batch, m, n, k } = product;
  const tiles = (tile: number) => Math.ceil(m / tile) * Math.ceil(n / tile) * batch;
  const tile = tiles(128) >= ENOUGH_TILES && !(locate && m <= 64) ? 128 : 64;
  const places = productPlaces(k, locate !== undefined);
  const offsetK = locate ? "first_k + " : "";
  const a = new TiledOperand("a", m, k, layout !== "tn", tile);
  const b = new TiledOperand("b", n, k, layout === "nt", tile);
  const vectorC = vectorOf(n);
  // Tile 64 gives each invocation one quad of 4 × 4 results, tile 128 two by two of them.
  const quads = range(tile / 64);
  const rows = quads.flatMap((quad) => range(4).map((row) => ({ quad, row })));
  const code = `
${a.declarations()}
${b.declarations()}

@compute @workgroup_size(${SIDE * SIDE})
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  ${locate ?? ""}let first_row = group.y * ${tile}u;
  let first_column = group.x * ${tile}u;
  let x = thread % ${SIDE}u;
  let y = thread / ${SIDE}u;
  // The first invocations carry blocks of a, the next ones blocks of b.
  let carries_a = thread < ${a.blocks}u;
  let carries_b = !carries_a && thread < ${a.blocks + b.blocks}u;
  let block_a = ${a.block("thread")};
  let block_b = ${b.block(`thread - ${a.blocks}u`)};
  ${
    rows.map(({ quad, row }) => quads.map((j) => `var c${quad}${row}_${j} = vec4f();`).join(" "))
      .join("\n  ")
  }
  var next: mat4x4f;
  if (carries_a) { next = fetch_a(${places.a}, first_row + block_a.x, ${offsetK}block_a.y); }
  if (carries_b) { next = fetch_b(${places.b}, first_column + block_b.x, ${offsetK}block_b.y); }
  for (var k = ${places.firstK}; k < ${places.endK}; k += ${DEPTH}u) {
    workgroupBarrier();
    if (carries_a) { ${a.stage("block_a", "next")} }
    if (carries_b) { ${b.stage("block_b", "next")} }
    workgroupBarrier();
    if (carries_a) { next = fetch_a(${places.a}, first_row + block_a.x, k + ${DEPTH}u + block_a.y); }
    if (carries_b) { next = fetch_b(${places.b}, first_column + block_b.x, k + ${DEPTH}u + block_b.y); }
    ${range(DEPTH).map((depth) => multiply(depth, tile, quads)).join("\n    ")}
  }
  ${
    rows.map(({ quad, row }) =>
      quads.map((j) => store(product, vectorC, places.c, quad, row, j)).join("\n  ")
    ).join("\n  ")
  }
}`;
  return {
    code,
    workgroups: [Math.ceil(n / tile), Math.ceil(m / tile), batch],
    vectors: { a: a.vector, b: b.vector, c: vectorC },
  };
}

/** An operand of `rows` × k, and the part of the WGSL that brings its tiles into workgroup memory. */
class TiledOperand {
  /** Blocks of 4 rows by 4 k in a tile; an invocation carries one. */
  readonly blocks: number;
  readonly vector: 1 | 4;

  constructor(
    private readonly name: string,
    private readonly rows: number,
    private readonly k: number,
    private readonly kContiguous: boolean,
    private readonly tile: number,
  ) {
    this.blocks = (tile / 4) * (DEPTH / 4);
    this.vector = vectorOf(kContiguous ? k : rows);
  }

  /** Workgroup memory, and a function that fetches a block as one vector of 4 rows for each k. */
  declarations(): string {
    const { name, rows, k, vector } = this;
    const lines = range(4).map((i) => {
      const line = this.kContiguous ? `row + ${i}u` : `k + ${i}u`;
      const inside = this.kContiguous ? `row + ${i}u < ${rows}u` : `k + ${i}u < ${k}u`;
      const along = this.kContiguous ? "k" : "row";
      const length = this.kContiguous ? k : rows;
      const base = `(batch * ${this.kContiguous ? rows : k}u + ${line}) * ${length}u + ${along}`;
      const load = vector === 4
        ? `if (${along} < ${length}u) { block[${i}] = vec4f(${name}[(${base}) / 4u]); }`
        : range(4).map((part) =>
          `if (${along} + ${part}u < ${length}u) { block[${i}][${part}] = f32(${name}[${base} + ${part}u]); }`
        ).join("\n    ");
      return `  if (${inside}) {\n    ${load}\n  }`;
    });
    return `var<workgroup> staged_${name}: array<vec4f, ${this.tile * DEPTH / 4}>;

fn fetch_${name}(batch: u32, row: u32, k: u32) -> mat4x4f {
  var block = mat4x4f();
${lines.join("\n")}
  return ${this.kContiguous ? "transpose(block)" : "block"};
}`;
  }

  /** Row and k, inside the tile, of the block that a carrier takes: neighbours read neighbours. */
  block(carrier: string): string {
    return this.kContiguous
      ? `vec2u((${carrier}) / ${DEPTH / 4}u, (${carrier}) % ${DEPTH / 4}u) * 4u`
      : `vec2u((${carrier}) % ${this.tile / 4}u, (${carrier}) / ${this.tile / 4}u) * 4u`;
  }

  stage(block: string, value: string): string {
    return range(4).map((i) =>
      `staged_${this.name}[(${block}.y + ${i}u) * ${
        this.tile / 4
      }u + ${block}.x / 4u] = ${value}[${i}];`
    ).join(" ");
  }
}

/** The products of one k: each quad of rows with each quad of columns. */
function multiply(depth: number, tile: number, quads: number[]): string {
  const line = depth * tile / 4;
  const loads = quads.map((quad) =>
    `let a${quad} = staged_a[${line + quad * SIDE}u + y]; let b${quad} = staged_b[${
      line + quad * SIDE
    }u + x];`
  );
  const products = quads.flatMap((i) =>
    range(4).flatMap((row) => quads.map((j) => `c${i}${row}_${j} += a${i}[${row}] * b${j};`))
  );
  return `{ ${loads.join(" ")}\n      ${products.join(" ")} }`;
}

/** Writes four neighbouring results of one row, where they lie inside c. */
function store(
  { m, n, accumulate, bias }: MatrixProduct,
  vector: 1 | 4,
  batch: string,
  quad: number,
  row: number,
  j: number,
) {
  const sum = `c${quad}${row}_${j}`;
  const assign = accumulate ? "+=" : "=";
  const biasAt = (part: number) => `bias[${batch} * ${n}u + column + ${part}u]`;
  const lines = vector === 4
    ? `c[start / 4u] ${assign} c_type(${sum}${
      bias ? ` + vec4f(${range(4).map(biasAt).join(", ")})` : ""
    });`
    : range(4).map((part) =>
      `if (column + ${part}u < ${n}u) { c[start + ${part}u] ${assign} c_type(${sum}[${part}]${
        bias ? ` + ${biasAt(part)}` : ""
      }); }`
    ).join(" ");
  return `{
    let row = first_row + ${quad * 64 + row}u + y * 4u;
    let column = first_column + ${j * 64}u + x * 4u;
    let start = (${batch} * ${m}u + row) * ${n}u + column;
    if (row < ${m}u && column < ${n}u) { ${lines} }
  }`;
}
