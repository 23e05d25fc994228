import { fusedWidth, type HeadLayout } from "../layers/rope.ts";
import { scale } from "../layers/scale.ts";
import type { Sequences } from "../layers/sequences.ts";
import { matmul } from "../matmul/matmul.ts";
import type { MatrixLayout } from "../matmul/product.ts";
import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Graph, Tensor } from "../runtime/graph.ts";
import { bytesOf } from "../runtime/storage.ts";
import { type AttentionBlocks, causalSoftmax } from "./causal-softmax.ts";
import { bound, set } from "./gradient.ts";

/**
 * Causal attention from elementary operators, as Hugging Face calls it "eager": queries, keys and
 * values are copied head by head, scores are a product of whole matrices, and their softmax is kept
 * for the backward. The same numbers as `attention`, but that in f16 scores are rounded.
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16, rope applied
 * @param sequences none of them longer than `longest`, nor across a multiple of it; `longest` divides
 *   the tokens
 * @returns [tokens, heads · headDim], of the same type
 * @throws Error where the rows are no whole blocks
 */
export function unfusedAttention(qkv: Tensor, sequences: Sequences, layout: HeadLayout): Tensor {
  const { graph, shape: [tokens] } = qkv;
  const rows = sequences.longest;
  if (tokens % rows !== 0) throw new Error(`${tokens} rows are no whole blocks of ${rows}`);
  const blockBytes = layout.heads * rows * rows * bytesOf[qkv.dtype];
  const together = Math.max(1, Math.floor(graph.capabilities.maxBindingBytes / blockBytes));
  const groups: AttentionBlocks[] = [];
  for (let first = 0; first < tokens / rows; first += together) {
    groups.push({ first, count: Math.min(together, tokens / rows - first), rows });
  }
  const attended = splitHeads(qkv, groups, layout).map(({ queries, keys, values }, index) => {
    const scores = product("nt", scale(queries, 1 / Math.sqrt(layout.headDim)), keys);
    return product("nn", causalSoftmax(scores, sequences, groups[index], layout.heads), values);
  });
  return mergeHeads(attended, groups, tokens, layout);
}

/** Of a group of blocks, [blocks · heads, rows, headDim] each; keys and values are repeated. */
interface SplitHeads {
  readonly queries: Tensor;
  readonly keys: Tensor;
  readonly values: Tensor;
}

function splitHeads(qkv: Tensor, groups: readonly AttentionBlocks[], layout: HeadLayout) {
  const { graph, dtype } = qkv;
  const { heads, keyValueHeads, headDim } = layout;
  const vector = vectorOf(headDim);
  const per = headDim / vector;
  const width = fusedWidth(layout) / vector;
  const shared = heads / keyValueHeads;
  const split = groups.map(({ first, count, rows }): SplitHeads => {
    const [queries, keys, values] = ["queries", "keys", "values"].map((name) =>
      graph.tensor(name, [count * heads, rows, headDim], dtype)
    );
    graph.elementwise(
      "split heads",
      queries.size / vector,
      {
        qkv: read(qkv, vector),
        queries: write(queries, vector),
        keys: write(keys, vector),
        values: write(values, vector),
      },
      `let head = i / ${per * rows}u % ${heads}u;
    let block = ${first}u + i / ${per * rows * heads}u;
    let row = (block * ${rows}u + i / ${per}u % ${rows}u) * ${width}u + i % ${per}u;
    let other = ${heads}u + head / ${shared}u;
    queries[i] = qkv[row + head * ${per}u];
    keys[i] = qkv[row + other * ${per}u];
    values[i] = qkv[row + (other + ${keyValueHeads}u) * ${per}u];`,
      vector,
    );
    return { queries, keys, values };
  });

  const backward = () => {
    const target = graph.gradientTarget(qkv);
    if (!target) return;
    if (target.accumulate) throw new Error("attention must be the only operator that reads qkv");
    split.forEach((parts, index) => {
      const { first, count, rows } = groups[index];
      const { queries, keys, values } = parts;
      const at = (head: string) =>
        `((row / ${rows}u * ${heads}u + ${head}) * ${rows}u + row % ${rows}u) * ${per}u + i % ${per}u`;
      const sumOver = (name: string) =>
        `for (var each = 0u; each < ${shared}u; each++) {
        sum += number(${name}[${at(`(head % ${keyValueHeads}u * ${shared}u + each)`)}]);
      }`;
      graph.elementwise(
        "split heads dX",
        count * rows * width,
        {
          dqueries: read(queries.gradient!, vector),
          dkeys: read(keys.gradient!, vector),
          dvalues: read(values.gradient!, vector),
          dqkv: (index === 0 ? write : update)(target.tensor, vector),
        },
        `let row = i / ${width}u;
    let part = i % ${width}u / ${per}u;
    var sum = number();
    if (part < ${heads}u) { sum = number(dqueries[${at("part")}]); }
    else {
      let head = part - ${heads}u;
      if (head < ${keyValueHeads}u) { ${sumOver("dkeys")} }
      else { ${sumOver("dvalues")} }
    }
    dqkv[${first * rows * width}u + i] = dqkv_type(sum);`,
        vector,
      );
    });
  };
  // Entries of the tape run last first: when the first one runs, all gradients are there.
  const [one, ...others] = split.flatMap((parts) => Object.values<Tensor>({ ...parts }));
  graph.onBackward(one, backward);
  for (const other of others) graph.onBackward(other, () => {});
  return split;
}

/** [blocks · heads, rows, headDim] of each group to [tokens, heads · headDim]. */
function mergeHeads(
  parts: readonly Tensor[],
  groups: readonly AttentionBlocks[],
  tokens: number,
  { heads, headDim }: HeadLayout,
): Tensor {
  const [{ graph, dtype }] = parts;
  const vector = vectorOf(headDim);
  const per = headDim / vector;
  const y = graph.tensor("merged heads", [tokens, heads * headDim], dtype);
  /** Where `i`, an index of a group's part, lies in y. */
  const place = ({ first, rows }: AttentionBlocks) =>
    `let block = ${first}u + i / ${per * rows * heads}u;
    let head = i / ${per * rows}u % ${heads}u;
    let at = ((block * ${rows}u + i / ${per}u % ${rows}u) * ${heads}u + head) * ${per}u + i % ${per}u;`;
  parts.forEach((x, index) => {
    graph.elementwise(
      "merge heads",
      x.size / vector,
      { x: read(x, vector), y: (index === 0 ? write : update)(y, vector) },
      `${place(groups[index])}
    y[at] = x[i];`,
      vector,
    );
  });
  graph.onBackward(y, (dy) =>
    parts.forEach((x, index) => {
      const dx = graph.gradientTarget(x);
      if (!dx) return;
      graph.elementwise(
        "merge heads dX",
        x.size / vector,
        { dy: read(dy, vector), dx: bound(dx, vector) },
        `${place(groups[index])}
    dx[i] ${set(dx)} dy[at];`,
        vector,
      );
    }));
  return y;
}

/** A batch of products of two activations, a · bᵀ (`nt`) or a · b (`nn`), with both gradients. */
function product(layout: "nt" | "nn", a: Tensor, b: Tensor): Tensor {
  const { graph, shape: [batch, m, k] } = a;
  const n = b.shape[layout === "nt" ? 1 : 2];
  const c = graph.tensor("product", [batch, m, n], a.dtype);
  multiply(graph, layout, { batch, m, n, k }, [a, b], c);
  graph.onBackward(c, (dc) => {
    // The sides of a gradient's own product: rows, columns, and what its sums run over.
    const da = graph.gradientTarget(a);
    const ofA = { batch, m, n: k, k: n };
    if (da) multiply(graph, layout === "nt" ? "nn" : "nt", ofA, [dc, b], da.tensor, da.accumulate);
    const db = graph.gradientTarget(b);
    if (!db) return;
    const ofB = layout === "nt" ? { batch, m: n, n: k, k: m } : { batch, m: k, n, k: m };
    const operands: [Tensor, Tensor] = layout === "nt" ? [dc, a] : [a, dc];
    multiply(graph, "tn", ofB, operands, db.tensor, db.accumulate);
  });
  return c;
}

function multiply(
  graph: Graph,
  layout: MatrixLayout,
  sizes: { batch: number; m: number; n: number; k: number },
  [a, b]: [Tensor, Tensor],
  c: Tensor,
  accumulate = false,
): void {
  matmul(graph, `attention ${layout}`, { layout, ...sizes, accumulate, bias: false }, { a, b, c });
}
