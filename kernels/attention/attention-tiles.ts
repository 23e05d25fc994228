import { range } from "../wgsl/range.ts";
import { fusedWidth, type HeadLayout } from "../layers/rope.ts";

/** A workgroup is SIDE × SIDE invocations: lines of own rows, columns of others' rows. */
const SIDE = 16;
/** Rows that an invocation has a share of, on either side. */
const EACH = range(2);
/** Rows that a workgroup owns, and rows of others that pass by at a time. */
const ROWS = SIDE * EACH.length;
/** Vectors of a row that are staged at a time: for products with own rows, and for sums of rows. */
const PRODUCT_VECTORS = 8;
const SUM_VECTORS = SIDE;
/** Distances between rows in workgroup memory, with one number against bank conflicts. */
const PRODUCT_PITCH = PRODUCT_VECTORS + 1;
const SHARE_PITCH = ROWS + 1;

/** Rows of one head in an array: the vector at which one begins, given WGSL of the row. */
interface Rows {
  readonly array: string;
  readonly at: (row: string) => string;
}

/**
 * The WGSL of plain attention and its gradients for heads too wide for one invocation's registers. A
 * workgroup owns rows of one head; rows of the other side pass by in tiles, of which a part of the
 * columns is staged in workgroup memory at a time. An invocation has a square of scores, and a part of
 * its rows' columns of the results.
 */
export class AttentionTiles {
  readonly vector = 4;
  readonly rowGroups: number;
  /** Vectors of a head. */
  private readonly headVectors: number;
  /** Stretches of vectors of a head that are summed one after the other. */
  private readonly stretches: number[];
  private readonly scale: number;

  constructor(private readonly tokens: number, private readonly layout: HeadLayout) {
    this.rowGroups = Math.ceil(tokens / ROWS);
    this.headVectors = layout.headDim / this.vector;
    this.stretches = range(Math.ceil(this.headVectors / SUM_VECTORS));
    this.scale = 1 / Math.sqrt(layout.headDim);
  }

  /** @param options `afterPrefix`: every row also sees the first `prefix[0]` rows */
  forward({ afterPrefix = false } = {}): string {
    const isSeen = (i: number) =>
      afterPrefix ? `(other >= start_${i} || other < prefix[0])` : `other >= start_${i}`;
    const { queries, keys, values, outputs } = this.sides("group.y", "key_head");
    return `${this.head()}
  ${this.declareKeyHead("group.y")}
  ${
      each((i) =>
        `let start_${i} = starts[row_${i}]; var highest_${i} = -1e30f; var total_${i} = 0f;`
      )
    }
  ${this.zeros("sum")}
  for (var tile = ${afterPrefix ? "0u" : "starts[first]"}; tile <= last; tile += ${ROWS}u) {
    ${afterPrefix ? "if (tile >= prefix[0]) { tile = max(tile, starts[first]); }" : ""}
    ${this.product("score", queries, keys)}
    ${
      this.eachPair((i, j) =>
        `score_${i}_${j} = select(-1e30f, score_${i}_${j} * ${this.scale}f, ` +
        `${isSeen(i)} && other <= row_${i});`
      )
    }
    ${this.share("score")}
    ${
      each((i) =>
        `var higher_${i} = highest_${i};
    for (var k = 0u; k < ${ROWS}u; k++) { higher_${i} = max(higher_${i}, ${shareAt(i, "k")}); }
    let keep_${i} = exp(highest_${i} - higher_${i});
    highest_${i} = higher_${i};`
      )
    }
    ${
      this.eachPair((i, j) =>
        `score_${i}_${j} = select(0f, exp(score_${i}_${j} - higher_${i}), score_${i}_${j} > -1e30f);`
      )
    }
    ${this.share("score")}
    ${
      each((i) =>
        `total_${i} *= keep_${i};
    for (var k = 0u; k < ${ROWS}u; k++) { total_${i} += ${shareAt(i, "k")}; }
    ${this.eachSum("sum", i, (sum) => `${sum} *= keep_${i};`)}`
      )
    }
    ${this.accumulate("sum", values)}
  }
  ${
      each((i) =>
        `if (alive_${i}) {
    ${this.write("y", outputs, "sum", i, `/ total_${i}`)}
    if (column == 0u) {
      log_sum_exp[group.y * ${this.tokens}u + row_${i}] = highest_${i} + log(total_${i});
    }
  }`
      )
    }
}`;
  }

  backwardQueries(): string {
    const { queries, keys, values, outputs } = this.sides("group.y", "key_head");
    const outputGradients = { ...outputs, array: "dy" };
    return `${this.head()}
  ${this.declareKeyHead("group.y")}
  ${
      each((i) =>
        `let start_${i} = starts[row_${i}];
  let normalizer_${i} = log_sum_exp[group.y * ${this.tokens}u + row_${i}];
  var own_part_${i} = 0f;
  for (var v = column; v < ${this.headVectors}u; v += ${SIDE}u) {
    let at = ${outputs.at(`row_${i}`)} + v;
    own_part_${i} += dot(vec4f(dy[at]), vec4f(y[at]));
  }
  shares[(line + ${SIDE * i}u) * ${SHARE_PITCH}u + column] = own_part_${i};`
      )
    }
  workgroupBarrier();
  ${
      each((i) =>
        `var own_dot_${i} = 0f;
  for (var k = 0u; k < ${SIDE}u; k++) { own_dot_${i} += ${shareAt(i, "k")}; }`
      )
    }
  ${this.zeros("dq")}
  for (var tile = starts[first]; tile <= last; tile += ${ROWS}u) {
    ${this.product("score", queries, keys)}
    ${this.product("change", outputGradients, values)}
    ${
      this.eachPair((i, j) =>
        `let weight_${i}_${j} = select(0f, exp(score_${i}_${j} * ${this.scale}f - normalizer_${i}), ` +
        `other >= start_${i} && other <= row_${i});
    change_${i}_${j} = weight_${i}_${j} * (change_${i}_${j} - own_dot_${i}) * ${this.scale}f;`
      )
    }
    ${this.share("change")}
    ${this.accumulate("dq", keys)}
  }
  ${
      each((i) =>
        `if (alive_${i}) {
    ${this.write("dqkv", queries, "dq", i)}
    if (column == 0u) { row_dot[group.y * ${this.tokens}u + row_${i}] = own_dot_${i}; }
  }`
      )
    }
}`;
  }

  backwardKeysValues(): string {
    const shared = this.layout.heads / this.layout.keyValueHeads;
    const { queries, keys, values, outputs } = this.sides("head", "group.y");
    const outputGradients = { ...outputs, array: "dy" };
    return `${this.head()}
  ${each((i) => `let end_${i} = ends[row_${i}];`)}
  ${this.zeros("dk")}
  ${this.zeros("dv")}
  let behind = ends[last];
  for (var tile = first; tile < behind; tile += ${ROWS}u) {
    for (var head = group.y * ${shared}u; head < (group.y + 1u) * ${shared}u; head++) {
      ${this.product("score", keys, queries)}
      ${this.product("change", values, outputGradients)}
      ${
      this.eachPair((i, j) =>
        `let of_head_${i}_${j} = head * ${this.tokens}u + min(other, ${this.tokens - 1}u);
      score_${i}_${j} = select(0f, exp(score_${i}_${j} * ${this.scale}f - ` +
        `log_sum_exp[of_head_${i}_${j}]), other >= row_${i} && other < end_${i});
      change_${i}_${j} = score_${i}_${j} * (change_${i}_${j} - row_dot[of_head_${i}_${j}]) * ` +
        `${this.scale}f;`
      )
    }
      ${this.share("score")}
      ${this.accumulate("dv", outputGradients)}
      ${this.share("change")}
      ${this.accumulate("dk", queries)}
    }
  }
  ${
      each((i) =>
        `if (alive_${i}) {
    ${this.write("dqkv", keys, "dk", i)}
    ${this.write("dqkv", values, "dv", i)}
  }`
      )
    }
}`;
  }

  /**
   * The start of every kernel: the rows that a workgroup owns, and those of which an invocation has a
   * share. Rows past the last one are computed as the last, and written by nobody.
   */
  private head(): string {
    return `
var<workgroup> staged: array<vec4f, ${Math.max(2 * ROWS * PRODUCT_PITCH, ROWS * SUM_VECTORS)}>;
var<workgroup> shares: array<f32, ${ROWS * SHARE_PITCH}>;

@compute @workgroup_size(${SIDE * SIDE})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let line = lane / ${SIDE}u;
  let column = lane % ${SIDE}u;
  let first = group.x * ${ROWS}u;
  let last = min(first + ${ROWS - 1}u, ${this.tokens - 1}u);
  var other = 0u;
  ${
      each((i) =>
        `let alive_${i} = first + line + ${SIDE * i}u < ${this.tokens}u;
  let row_${i} = min(first + line + ${SIDE * i}u, last);`
      )
    }`;
  }

  private declareKeyHead(head: string): string {
    return `let key_head = ${head} / ${this.layout.heads / this.layout.keyValueHeads}u;`;
  }

  private sides(head: string, keyHead: string): Record<
    "queries" | "keys" | "values" | "outputs",
    Rows
  > {
    const { heads, keyValueHeads } = this.layout;
    const rows = (array: string, width: number, head: string): Rows => ({
      array,
      at: (row) => `${row} * ${width}u + ${head} * ${this.headVectors}u`,
    });
    const width = fusedWidth(this.layout) / this.vector;
    return {
      queries: rows("qkv", width, head),
      keys: rows("qkv", width, `(${heads}u + ${keyHead})`),
      values: rows("qkv", width, `(${heads + keyValueHeads}u + ${keyHead})`),
      outputs: rows("y", heads * this.headVectors, head),
    };
  }

  /** Declares `name_i_j`: the dot products of own rows with those of the tile. */
  private product(name: string, own: Rows, others: Rows): string {
    // An invocation stages one vector of either side.
    const stage = (rows: Rows, first: string, place: number) =>
      `staged[${place * ROWS * PRODUCT_PITCH}u + slot_row * ${PRODUCT_PITCH}u + slot] = vec4f();
      if (vector < ${this.headVectors}u) {
        let row = min(${first} + slot_row, ${this.tokens - 1}u);
        staged[${place * ROWS * PRODUCT_PITCH}u + slot_row * ${PRODUCT_PITCH}u + slot] =
          vec4f(${rows.array}[${rows.at("row")} + vector]);
      }`;
    const staged = (place: number, row: string, i: number) =>
      `staged[${place * ROWS * PRODUCT_PITCH}u + (${row} + ${SIDE * i}u) * ${PRODUCT_PITCH}u + p]`;
    return `${this.eachPair((i, j) => `var ${name}_${i}_${j} = 0f;`, false)}
    for (var chunk = 0u; chunk < ${this.headVectors}u; chunk += ${PRODUCT_VECTORS}u) {
      let slot_row = lane / ${PRODUCT_VECTORS}u;
      let slot = lane % ${PRODUCT_VECTORS}u;
      let vector = chunk + slot;
      workgroupBarrier();
      ${stage(own, "first", 0)}
      ${stage(others, "tile", 1)}
      workgroupBarrier();
      for (var p = 0u; p < ${PRODUCT_VECTORS}u; p++) {
        ${each((i) => `let own_${i} = ${staged(0, "line", i)};`)}
        ${each((j) => `let other_${j} = ${staged(1, "column", j)};`)}
        ${this.eachPair((i, j) => `${name}_${i}_${j} += dot(own_${i}, other_${j});`, false)}
      }
    }`;
  }

  /** Lays the invocations' `name_i_j` where all can read them. */
  private share(name: string): string {
    return `workgroupBarrier();
    ${
      this.eachPair(
        (i, j) => `${shareAt(i, `(column + ${SIDE * j}u)`)} = ${name}_${i}_${j};`,
        false,
      )
    }
    workgroupBarrier();`;
  }

  /** Sums += what was shared, times the tile's rows. */
  private accumulate(name: string, others: Rows): string {
    return this.stretches.map((stretch) =>
      `workgroupBarrier();
    ${
        each((j) =>
          `{
      let row = min(tile + line + ${SIDE * j}u, ${this.tokens - 1}u);
      let vector = ${stretch * SUM_VECTORS}u + column;
      if (vector < ${this.headVectors}u) {
        staged[(line + ${SIDE * j}u) * ${SUM_VECTORS}u + column] =
          vec4f(${others.array}[${others.at("row")} + vector]);
      }
    }`
        )
      }
    workgroupBarrier();
    for (var k = 0u; k < ${ROWS}u; k++) {
      let value = staged[k * ${SUM_VECTORS}u + column];
      ${each((i) => `${name}_${i}_${stretch} += ${shareAt(i, "k")} * value;`)}
    }`
    ).join("\n    ");
  }

  private write(array: string, { at }: Rows, name: string, i: number, change = ""): string {
    return this.stretches.map((stretch) =>
      `if (${stretch * SUM_VECTORS}u + column < ${this.headVectors}u) {
      ${array}[${at(`row_${i}`)} + ${stretch * SUM_VECTORS}u + column] =
        ${array}_type(${name}_${i}_${stretch} ${change});
    }`
    ).join("\n    ");
  }

  private zeros(name: string): string {
    return each((i) => this.eachSum(name, i, (sum) => `var ${sum} = vec4f();`));
  }

  private eachSum(name: string, i: number, text: (sum: string) => string): string {
    return this.stretches.map((stretch) => text(`${name}_${i}_${stretch}`)).join(" ");
  }

  /** Statements for every pair of own rows and rows of the tile; `other` is the latter. */
  private eachPair(text: (i: number, j: number) => string, withOther = true): string {
    return each((j) =>
      withOther
        ? `other = tile + column + ${SIDE * j}u; ${each((i) => text(i, j))}`
        : each((i) => text(i, j))
    );
  }
}

/** WGSL of a number that is shared: of own row i, and of a row of the tile. */
function shareAt(i: number, other: string): string {
  return `shares[(line + ${SIDE * i}u) * ${SHARE_PITCH}u + ${other}]`;
}

function each(text: (i: number) => string): string {
  return EACH.map(text).join("\n  ");
}
