import { range } from "../wgsl/range.ts";
import { fusedWidth, type HeadLayout } from "../layers/rope.ts";

/** Invocations of a workgroup: as many as a vector register of a CPU core has numbers. */
const LANES = 8;

/**
 * The WGSL of attention and its gradients for software drivers. One invocation owns one row of one
 * head. All invocations of a workgroup compare their rows with the same rows, so loads are broadcast
 * and no workgroup memory is needed. A row is unrolled into one variable for each vector.
 */
export class RowWiseAttention {
  readonly vector: 2 | 4;
  readonly rowGroups: number;
  private readonly parts: number[];
  private readonly type: string;
  private readonly scale: number;

  constructor(private readonly tokens: number, private readonly layout: HeadLayout) {
    this.vector = layout.headDim % 4 === 0 ? 4 : 2;
    this.type = `vec${this.vector}f`;
    this.rowGroups = Math.ceil(tokens / LANES);
    this.parts = range(layout.headDim / this.vector);
    this.scale = 1 / Math.sqrt(layout.headDim);
  }

  /** @param options `afterPrefix`: every row also sees the first `prefix[0]` rows */
  forward({ afterPrefix = false } = {}): string {
    const isSeen = afterPrefix ? "(other >= start || other < prefix[0])" : "other >= start";
    return `${this.head()}
  ${this.declareKeyHead("group.y")}
  ${this.load("q", "qkv", this.queryAt("row", "group.y"))}
  ${this.zeros("sum")}
  var highest = -1e30f;
  var total = 0f;
  let start = starts[row];
  for (
    var other = ${afterPrefix ? "0u" : "starts[first]"};
    other < min(first + ${LANES}u, ${this.tokens}u);
    other++
  ) {
    ${afterPrefix ? "if (other == prefix[0]) { other = max(other, starts[first]); }" : ""}
    let key = ${this.keyAt("other", "key_head")};
    let score = (${this.dot("q", "qkv", "key")}) * ${this.scale}f;
    if (${isSeen} && other <= row) {
      let value = ${this.valueAt("other", "key_head")};
      let higher = max(highest, score);
      let keep = exp(highest - higher);
      let weight = exp(score - higher);
      total = total * keep + weight;
      ${this.each((p) => `sum${p} = sum${p} * keep + weight * ${this.type}(qkv[value + ${p}u]);`)}
      highest = higher;
    }
  }
  if (alive) {
    let out = ${this.outputAt("row", "group.y")};
    ${this.each((p) => `y[out + ${p}u] = y_type(sum${p} / total);`)}
    log_sum_exp[group.y * ${this.tokens}u + row] = highest + log(total);
  }
}`;
  }

  backwardQueries(): string {
    return `${this.head()}
  ${this.declareKeyHead("group.y")}
  let query = ${this.queryAt("row", "group.y")};
  let out = ${this.outputAt("row", "group.y")};
  ${this.load("q", "qkv", "query")}
  ${this.load("dy", "dy", "out")}
  ${this.zeros("dq")}
  let own_dot = ${this.dot("dy", "y", "out")};
  let normalizer = log_sum_exp[group.y * ${this.tokens}u + row];
  let start = starts[row];
  for (var other = starts[first]; other < min(first + ${LANES}u, ${this.tokens}u); other++) {
    let key = ${this.keyAt("other", "key_head")};
    let value = ${this.valueAt("other", "key_head")};
    if (other >= start && other <= row) {
      let weight = exp((${this.dot("q", "qkv", "key")}) * ${this.scale}f - normalizer);
      let slope = weight * ((${this.dot("dy", "qkv", "value")}) - own_dot) * ${this.scale}f;
      ${this.each((p) => `dq${p} += slope * ${this.type}(qkv[key + ${p}u]);`)}
    }
  }
  if (alive) {
    ${this.each((p) => `dqkv[query + ${p}u] = dqkv_type(dq${p});`)}
    row_dot[group.y * ${this.tokens}u + row] = own_dot;
  }
}`;
  }

  backwardKeysValues(): string {
    const { heads, keyValueHeads } = this.layout;
    const shared = heads / keyValueHeads;
    return `${this.head()}
  let key = ${this.keyAt("row", "group.y")};
  let value = ${this.valueAt("row", "group.y")};
  ${this.load("k", "qkv", "key")}
  ${this.load("v", "qkv", "value")}
  ${this.zeros("dk")}
  ${this.zeros("dv")}
  let end = ends[row];
  let last = ends[min(first + ${LANES - 1}u, ${this.tokens - 1}u)];
  for (var other = first; other < last; other++) {
    for (var head = group.y * ${shared}u; head < (group.y + 1u) * ${shared}u; head++) {
      let query = ${this.queryAt("other", "head")};
      let out = ${this.outputAt("other", "head")};
      let row_of_head = head * ${this.tokens}u + other;
      if (other >= row && other < end) {
        let score = (${this.dot("k", "qkv", "query")}) * ${this.scale}f;
        let weight = exp(score - log_sum_exp[row_of_head]);
        let slope = weight * ((${
      this.dot("v", "dy", "out")
    }) - row_dot[row_of_head]) * ${this.scale}f;
        ${
      this.each((p) =>
        `dv${p} += weight * ${this.type}(dy[out + ${p}u]); ` +
        `dk${p} += slope * ${this.type}(qkv[query + ${p}u]);`
      )
    }
      }
    }
  }
  if (alive) {
    ${
      this.each((p) =>
        `dqkv[key + ${p}u] = dqkv_type(dk${p}); ` +
        `dqkv[value + ${p}u] = dqkv_type(dv${p});`
      )
    }
  }
}`;
  }

  /**
   * The start of every kernel: the row that an invocation owns. Invocations past the last row compute
   * it again and write nothing.
   */
  private head(): string {
    return `
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let first = group.x * ${LANES}u;
  let alive = first + lane < ${this.tokens}u;
  let row = min(first + lane, ${this.tokens - 1}u);`;
  }

  private declareKeyHead(head: string): string {
    return `let key_head = ${head} / ${this.layout.heads / this.layout.keyValueHeads}u;`;
  }

  private queryAt(row: string, head: string): string {
    return this.at(row, head);
  }

  private keyAt(row: string, head: string): string {
    return this.at(row, `(${this.layout.heads}u + ${head})`);
  }

  private valueAt(row: string, head: string): string {
    return this.at(row, `(${this.layout.heads + this.layout.keyValueHeads}u + ${head})`);
  }

  private at(row: string, head: string): string {
    const width = fusedWidth(this.layout) / this.vector;
    return `${row} * ${width}u + ${head} * ${this.parts.length}u`;
  }

  private outputAt(row: string, head: string): string {
    const { heads } = this.layout;
    return `${row} * ${heads * this.parts.length}u + ${head} * ${this.parts.length}u`;
  }

  private load(name: string, array: string, at: string): string {
    return `let ${name}_at = ${at};
  ${this.each((p) => `let ${name}${p} = ${this.type}(${array}[${name}_at + ${p}u]);`)}`;
  }

  private zeros(name: string): string {
    return this.each((p) => `var ${name}${p} = ${this.type}();`);
  }

  private dot(name: string, array: string, at: string): string {
    return this.parts.map((p) => `dot(${name}${p}, ${this.type}(${array}[${at} + ${p}u]))`).join(
      " + ",
    );
  }

  private each(line: (part: number) => string): string {
    return this.parts.map(line).join(" ");
  }
}
