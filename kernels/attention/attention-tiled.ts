import { range } from "../wgsl/range.ts";
import { fusedWidth, type HeadLayout } from "../layers/rope.ts";

/** Invocations of a workgroup. */
const LANES = 128;
/** Rows of the other side that pass by at a time. */
const OTHERS = 32;
/** The most vectors of a row that are staged at a time for products with own rows. */
const PRODUCT_VECTORS = 5;
/** Vectors of a row that are staged at a time for sums of rows. */
const SUM_VECTORS = 16;
/** Rows of the tile that are added in one turn of a loop. */
const UNROLLED = 8;
/** The widest head of which 8 invocations hold the sums of a row; of wider ones 16 do. */
const WIDE_HEAD = 128;

/** Rows of one head in an array: where one begins, given WGSL of the row. */
interface Rows {
  readonly array: string;
  readonly at: (row: string) => string;
}

/**
 * The WGSL of attention and its gradients for GPUs without tensor cores. A workgroup owns rows of one
 * head; rows of the other side pass by in tiles. Columns of both are staged in workgroup memory as f32,
 * a stretch at a time. An invocation has a block of scores of its four own rows in registers, and these
 * rows' sums for some of the columns; a vector has one number for each of the four rows. Scores pass
 * through workgroup memory on their way from one to the other.
 *
 * Tiles take the 16 KB of workgroup memory that every WebGPU device has. A subgroup of 32 is 8 lines
 * by 4 columns of invocations: its loads of workgroup memory meet no bank twice.
 */
export class TiledAttention {
  readonly vector: 2 | 4;
  readonly rowGroups: number;
  /** A workgroup is lines × columns of invocations. */
  private readonly lines: number;
  private readonly columns: number;
  /** Rows that a workgroup owns. */
  private readonly rows: number;
  /** Vectors of 4 numbers in a head; the last one may be half full. */
  private readonly headVectors: number;
  /** Vectors of a row that are staged at a time for products, and the odd distance between rows. */
  private readonly depth: number;
  private readonly pitch: number;
  /** Vectors of sums that an invocation holds of each row. */
  private readonly sums: number[];
  private readonly scale: number;

  constructor(private readonly tokens: number, private readonly layout: HeadLayout) {
    const { headDim } = layout;
    this.vector = headDim % 4 === 0 ? 4 : 2;
    this.columns = headDim > WIDE_HEAD ? 16 : 8;
    this.lines = LANES / this.columns;
    this.rows = 4 * this.lines;
    this.rowGroups = Math.ceil(tokens / this.rows);
    this.headVectors = Math.ceil(headDim / 4);
    this.depth = Math.ceil(this.headVectors / Math.ceil(this.headVectors / PRODUCT_VECTORS));
    this.pitch = this.depth + 1 - this.depth % 2;
    this.sums = range(Math.ceil(this.headVectors / this.columns));
    this.scale = 1 / Math.sqrt(headDim);
  }

  /** @param options `afterPrefix`: every row also sees the first `prefix[0]` rows */
  forward({ afterPrefix = false } = {}): string {
    const { queries, keys, values, outputs } = this.sides("head", "key_head");
    const isAfterStart = "(vec4u(other) >= own_starts)";
    const isSeen = afterPrefix ? `(${isAfterStart} | vec4<bool>(other < prefix[0]))` : isAfterStart;
    return `${this.ownQueries()}
  var highest = vec4f(-1e30f); var total = vec4f();
  ${this.zeros("sum")}
  for (var tile = ${afterPrefix ? "0u" : "starts[first]"}; tile <= last; tile += ${OTHERS}u) {
    ${afterPrefix ? "if (tile >= prefix[0]) { tile = max(tile, starts[first]); }" : ""}
    ${this.product("score", queries, keys)}
    var peak = highest;
    ${
      this.eachOther((j) =>
        `score_${j} = select(vec4f(-1e30f), score_${j} * ${this.scale}f, ` +
        `${isSeen} & (vec4u(other) <= own_rows)); ` +
        `peak = max(peak, score_${j});`
      )
    }
    ${this.reduce("peak", "higher", (a, b) => `max(${a}, ${b})`)}
    let keep = exp(highest - higher); highest = higher; total *= keep; ${
      this.eachSum("sum", (sum, i) => `${sum} *= keep[${i}];`)
    }
    ${
      this.eachOther((j) =>
        `score_${j} = select(vec4f(), exp(score_${j} - higher), ` +
        `score_${j} > vec4f(-1e30f)); total += score_${j};`
      )
    }
    ${this.accumulate("sum", "score", values)}
  }
  workgroupBarrier();
  ${this.reduce("total", "whole", (a, b) => `${a} + ${b}`)}
  ${
      this.eachRow((i) =>
        `${this.write(outputs, "sum", i, ` / whole[${i}]`)}
    if (column == 0u) {
      log_sum_exp[head * ${this.tokens}u + row] = highest[${i}] + log(whole[${i}]);
    }`
      )
    }
}`;
  }

  backwardQueries(): string {
    const { queries, keys, values, outputs } = this.sides("head", "key_head");
    const outputGradients = { ...outputs, array: "dy" };
    return `${this.ownQueries()}
  var normalizer = vec4f(); var dot_part = vec4f();
  ${
      range(4).map((i) =>
        `{
    let row = own_rows[${i}];
    normalizer[${i}] = log_sum_exp[head * ${this.tokens}u + row];
    for (var vector = column; vector < ${this.headVectors}u; vector += ${this.columns}u) {
      dot_part[${i}] += dot(${this.load(outputGradients, "row")}, ${this.load(outputs, "row")});
    }
  }`
      ).join("\n  ")
    }
  ${this.reduce("dot_part", "own_dot", (a, b) => `${a} + ${b}`)}
  ${this.zeros("dq")}
  for (var tile = starts[first]; tile <= last; tile += ${OTHERS}u) {
    ${this.product("score", queries, keys)}
    ${this.product("change", outputGradients, values)}
    ${
      this.eachOther((j) =>
        `change_${j} = select(vec4f(), exp(score_${j} * ${this.scale}f - normalizer), ` +
        `(vec4u(other) >= own_starts) & (vec4u(other) <= own_rows)) * ` +
        `(change_${j} - own_dot) * ${this.scale}f;`
      )
    }
    ${this.accumulate("dq", "change", keys)}
  }
  ${
      this.eachRow((i) =>
        `${this.write({ ...queries, array: "dqkv" }, "dq", i)}
    if (column == 0u) { row_dot[head * ${this.tokens}u + row] = own_dot[${i}]; }`
      )
    }
}`;
  }

  backwardKeysValues(): string {
    const { heads, keyValueHeads } = this.layout;
    const shared = heads / keyValueHeads;
    const { queries, keys, values, outputs } = this.sides("head", "key_head");
    const outputGradients = { ...outputs, array: "dy" };
    return `${this.head()}
  let key_head = order % ${keyValueHeads}u;
  let first = order / ${keyValueHeads}u * ${this.rows}u;
  ${this.ownRows()}
  ${this.ofOwnRows("own_ends", "ends")}
  ${this.zeros("dk")}
  ${this.zeros("dv")}
  let behind = ends[last];
  for (var tile = first; tile < behind; tile += ${OTHERS}u) {
    for (var head = key_head * ${shared}u; head < (key_head + 1u) * ${shared}u; head++) {
      ${this.product("score", keys, queries)}
      ${this.product("change", values, outputGradients)}
      ${
      this.eachOther((j) =>
        `let of_head${j} = head * ${this.tokens}u + min(other, ${this.tokens - 1}u);
      let normalizer${j} = log_sum_exp[of_head${j}];
      let dot${j} = row_dot[of_head${j}];
      score_${j} = select(vec4f(), exp(score_${j} * ${this.scale}f - normalizer${j}), ` +
        `(vec4u(other) >= own_rows) & (vec4u(other) < own_ends)); ` +
        `change_${j} = score_${j} * (change_${j} - dot${j}) * ${this.scale}f;`
      )
    }
      ${this.accumulate("dv", "score", outputGradients)}
      ${this.accumulate("dk", "change", queries)}
    }
  }
  ${
      this.eachRow((i) =>
        `${this.write({ ...keys, array: "dqkv" }, "dk", i)}
    ${this.write({ ...values, array: "dqkv" }, "dv", i)}`
      )
    }
}`;
  }

  /** The start of every kernel: an invocation's place, and a workgroup's, counted over heads first. */
  private head(): string {
    const { lines, columns, rows, pitch } = this;
    // Invocations of a subgroup of 32 have neighbouring lines, then neighbouring columns.
    const high = Math.min(lines, 8), wide = 32 / high;
    return `
var<workgroup> staged: array<vec4f, ${
      Math.max((rows + OTHERS) * pitch, OTHERS * Math.min(SUM_VECTORS, columns * this.sums.length))
    }>;
var<workgroup> shares: array<vec4f, ${Math.max(OTHERS, columns) * rows / 4}>;

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let line = lane % ${high}u + lane / 32u % ${lines / high}u * ${high}u;
  let column = lane / ${high}u % ${wide}u + lane / ${32 * lines / high}u * ${wide}u;
  let order = group.y * ${this.rowGroups}u + group.x;
  var other = 0u;`;
  }

  /** Own rows are queries: those that see the most keys come first. */
  private ownQueries(): string {
    const { heads, keyValueHeads } = this.layout;
    return `${this.head()}
  let head = order % ${heads}u;
  let key_head = head / ${heads / keyValueHeads}u;
  let first = (${this.rowGroups - 1}u - order / ${heads}u) * ${this.rows}u;
  ${this.ownRows()}
  ${this.ofOwnRows("own_starts", "starts")}`;
  }

  /** An invocation's own rows. Those past the last one are computed as the last, and not written. */
  private ownRows(): string {
    const distances = range(4).map((i) => `${i * this.lines}u`).join(", ");
    return `let last = min(first + ${this.rows - 1}u, ${this.tokens - 1}u);
  let places = first + line + vec4u(${distances}); let own_rows = min(places, vec4u(last));`;
  }

  private ofOwnRows(name: string, array: string): string {
    return `let ${name} = vec4u(${range(4).map((i) => `${array}[own_rows[${i}]]`).join(", ")});`;
  }

  private sides(head: string, keyHead: string): Record<
    "queries" | "keys" | "values" | "outputs",
    Rows
  > {
    const { heads, keyValueHeads, headDim } = this.layout;
    const rows = (array: string, width: number, head: string): Rows => ({
      array,
      at: (row) => `${row} * ${width / this.vector}u + ${head} * ${headDim / this.vector}u`,
    });
    const width = fusedWidth(this.layout);
    return {
      queries: rows("qkv", width, head),
      keys: rows("qkv", width, `(${heads}u + ${keyHead})`),
      values: rows("qkv", width, `(${heads + keyValueHeads}u + ${keyHead})`),
      outputs: rows("y", heads * headDim, head),
    };
  }

  /** Four numbers of a row, the vector `vector` of it. */
  private load({ array, at }: Rows, row: string): string {
    if (this.vector === 4) return `vec4f(${array}[${at(row)} + vector])`;
    const last = this.layout.headDim / 2 - 1;
    return `vec4f(vec2f(${array}[${at(row)} + 2u * vector]), ` +
      `select(vec2f(), vec2f(${array}[${at(row)} + min(2u * vector + 1u, ${last}u)]), ` +
      `2u * vector < ${last}u))`;
  }

  /** Declares `name_{j}`: the dot products of own rows with those of the tile. */
  private product(name: string, own: Rows, others: Rows): string {
    const { depth, pitch, rows, lines, columns } = this;
    const ofOthers = range(OTHERS / columns);
    const otherAt = rows * pitch;
    return `${this.eachOther((j) => `var ${name}_${j} = vec4f();`, false)}
    for (var chunk = 0u; chunk < ${this.headVectors}u; chunk += ${depth}u) {
      workgroupBarrier();
      ${this.stage(own, "first", rows, depth, pitch, 0)}
      ${this.stage(others, "tile", OTHERS, depth, pitch, otherAt)}
      workgroupBarrier();
      ${
      range(depth).map((p) =>
        `{
        ${
          ofOthers.map((j) =>
            `let b${j} = staged[column * ${pitch}u + ${otherAt + j * columns * pitch + p}u];`
          ).join(" ")
        }
        let a = transpose(mat4x4f(${
          range(4).map((i) => `staged[line * ${pitch}u + ${i * lines * pitch + p}u]`).join(", ")
        })); ${
          ofOthers.map((j) =>
            range(4).map((d) => `${name}_${j} += a[${d}] * b${j}[${d}];`).join(" ")
          ).join("\n        ")
        }
      }`
      ).join("\n      ")
    }
    }`;
  }

  /** Adds to the sums: the rows of the tile, each times the own rows' `weight_{j}`. */
  private accumulate(name: string, weight: string, others: Rows): string {
    const { columns, lines } = this;
    const together = SUM_VECTORS / columns;
    const stretches = range(Math.ceil(this.sums.length / together));
    return stretches.map((stretch) => {
      const sums = this.sums.slice(stretch * together, (stretch + 1) * together);
      const vectors = sums.length * columns;
      return `workgroupBarrier();
    ${
        stretch > 0 ? "" : this.eachOther(
          (j) => `shares[(column + ${j * columns}u) * ${lines}u + line] = ${weight}_${j};`,
          false,
        )
      }
    {
      let chunk = ${stretch * SUM_VECTORS}u;
      ${this.stage(others, "tile", OTHERS, vectors, vectors, 0)}
    }
    workgroupBarrier();
    for (var turn = 0u; turn < ${OTHERS / UNROLLED}u; turn++) {
      let shares_at = line + turn * ${UNROLLED * lines}u;
      let staged_at = column + turn * ${UNROLLED * vectors}u;
      ${
        range(UNROLLED).map((k) =>
          `{
        let a = shares[shares_at + ${k * lines}u];
        ${
            sums.map((v, i) =>
              `let b${v} = staged[staged_at + ${k * vectors + i * columns}u]; ` +
              this.ofSum(name, v, (sum, i) => `${sum} += a[${i}] * b${v};`)
            ).join("\n      ")
          }
      }`
        ).join("\n      ")
      }
    }`;
    }).join("\n    ");
  }

  /** Stages `count` rows from `first` on, `vectors` of each from `chunk` on, `pitch` apart, at `to`. */
  private stage(
    source: Rows,
    first: string,
    count: number,
    vectors: number,
    pitch: number,
    to: number,
  ): string {
    const places = count * vectors;
    return range(Math.ceil(places / LANES)).map((turn) => {
      const inRow = this.headVectors % vectors === 0 ? "" : `if (vector < ${this.headVectors}u)`;
      const inTurn = (turn + 1) * LANES <= places ? "" : `if (place < ${places}u)`;
      return `{
        let place = lane + ${turn * LANES}u;
        let row = min(${first} + place / ${vectors}u, ${this.tokens - 1}u);
        let vector = chunk + place % ${vectors}u;
        var numbers = vec4f();
        ${inRow} { numbers = ${this.load(source, "row")}; }
        ${inTurn} { staged[place / ${vectors}u * ${pitch}u + place % ${vectors}u + ${to}u] = numbers; }
      }`;
    }).join("\n      ");
  }

  /** Declares `into`: `part` of all invocations of a line, joined. */
  private reduce(part: string, into: string, join: (a: string, b: string) => string): string {
    const { lines, columns } = this;
    const at = (column: string) => `shares[${column} * ${lines}u + line]`;
    return `${at("column")} = ${part};
    workgroupBarrier();
    var ${into} = ${at("0u")}; for (var k = 1u; k < ${columns}u; k++) { ${into} = ${
      join(into, at("k"))
    }; }`;
  }

  /** Statements for each own row, `row`, that is not past the last one. */
  private eachRow(text: (i: number) => string): string {
    return range(4).map((i) =>
      `if (places[${i}] < ${this.tokens}u) {
    let row = places[${i}];
    ${text(i)}
  }`
    ).join("\n  ");
  }

  /** Writes an invocation's sums of the row `row`. */
  private write({ array, at }: Rows, name: string, i: number, change = ""): string {
    const parts = this.layout.headDim / this.vector;
    return this.sums.map((v) => {
      const numbers = `(${name}${i}_${v}${change})`;
      const store = (part: string, components: string) =>
        `if (${part} < ${parts}u) { ${array}[${at("row")} + ${part}] = ` +
        `${array}_type(${numbers}${components}); }`;
      const vector = `(column + ${v * this.columns}u)`;
      return this.vector === 4
        ? store(vector, "")
        : `${store(`2u * ${vector}`, ".xy")} ${store(`2u * ${vector} + 1u`, ".zw")}`;
    }).join("\n    ");
  }

  private zeros(name: string): string {
    return this.eachSum(name, (sum) => `var ${sum} = vec4f();`);
  }

  /** Statements for each of an invocation's sums: of its own row i. */
  private eachSum(name: string, text: (sum: string, i: number) => string): string {
    return this.sums.map((v) => this.ofSum(name, v, text)).join(" ");
  }

  private ofSum(name: string, v: number, text: (sum: string, i: number) => string): string {
    return range(4).map((i) => text(`${name}${i}_${v}`, i)).join(" ");
  }

  /** Statements for each of an invocation's rows of the tile; `other` is the row. */
  private eachOther(text: (j: number) => string, withOther = true): string {
    return range(OTHERS / this.columns).map((j) =>
      `${withOther ? `other = tile + column + ${j * this.columns}u; ` : ""}${text(j)}`
    ).join("\n    ");
  }
}
