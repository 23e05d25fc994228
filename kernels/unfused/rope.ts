import { add } from "../layers/add.ts";
import { fusedWidth, type HeadLayout } from "../layers/rope.ts";
import { read, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { bound, set } from "./gradient.ts";

/**
 * Rotary position embedding from elementary operators, as Hugging Face writes it: cosines and sines of
 * every token are gathered, and x · cosine + rotateHalf(x) · sine is computed product by product, not
 * in place. The same numbers as `rope`, but that in f16 each result is rounded.
 *
 * @param qkv [tokens, (heads + 2 · keyValueHeads) · headDim] f32 or f16
 * @param positions [tokens] u32
 * @param table [positions, 2, headDim / 2] f32, of `ropeTable`
 * @returns of the shape and type of qkv
 * @throws Error where the table is for a part of each head
 */
export function unfusedRope(
  qkv: Tensor,
  positions: Tensor,
  table: Tensor,
  layout: HeadLayout,
): Tensor {
  const { headDim } = layout;
  if (2 * table.shape[2] !== headDim) throw new Error("unfused rope turns whole heads");
  const turned = (layout.heads + layout.keyValueHeads) * headDim;
  const type = qkv.dtype === "f16" ? "f16" : "f32";
  const x = columnsOf(qkv, 0, turned);
  const values = columnsOf(qkv, turned, fusedWidth(layout) - turned);
  const [cosines, sines] = [0, 1].map((which) => gatherAngles(positions, table, which));
  const rotated = add(
    multiplyHeads(x, cosines),
    multiplyHeads(rotateHalf(x, headDim), sines),
    type,
  );
  return besideEachOther(rotated, values);
}

/** Columns of x from `first` on: [rows, count]. */
function columnsOf(x: Tensor, first: number, count: number): Tensor {
  const { graph, shape: [rows, width] } = x;
  const y = graph.tensor("columns", [rows, count], x.dtype);
  graph.elementwise(
    "columns",
    y.size,
    { x: read(x), y: write(y) },
    `y[i] = x[i / ${count}u * ${width}u + ${first}u + i % ${count}u];`,
  );
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    // What other columns receive comes from others.
    graph.elementwise(
      "columns dX",
      x.size,
      { dy: read(dy), dx: bound(dx) },
      `let column = i % ${width}u - ${first}u;
    if (column < ${count}u) { dx[i] ${set(dx)} dy[i / ${width}u * ${count}u + column]; }
    ${dx.accumulate ? "" : "else { dx[i] = dx_type(); }"}`,
    );
  });
  return y;
}

/** The cosines (0) or sines (1) of each token's angles, once for each half of a head: [tokens, headDim]. */
function gatherAngles(positions: Tensor, table: Tensor, which: number): Tensor {
  const { graph } = positions;
  const half = table.shape[2];
  const y = graph.tensor("angles", [positions.size, 2 * half]);
  graph.elementwise(
    "gather angles",
    y.size,
    { positions: read(positions), table: read(table), y: write(y) },
    `y[i] = table[(2u * positions[i / ${2 * half}u] + ${which}u) * ${half}u + i % ${half}u];`,
  );
  return y;
}

/** Each head of a token times the token's factors: x [tokens, heads · headDim], factors [tokens, headDim]. */
function multiplyHeads(x: Tensor, factors: Tensor): Tensor {
  const { graph, shape: [, width] } = x;
  const [, headDim] = factors.shape;
  const vector = vectorOf(headDim);
  const factor = `factors[i / ${width / vector}u * ${headDim / vector}u + i % ${
    headDim / vector
  }u]`;
  const y = graph.tensor("products", x.shape, x.dtype);
  graph.elementwise(
    "multiply heads",
    x.size / vector,
    { x: read(x, vector), factors: read(factors, vector), y: write(y, vector) },
    `y[i] = y_type(number(x[i]) * ${factor});`,
    vector,
  );
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    graph.elementwise(
      "multiply heads dX",
      x.size / vector,
      { dy: read(dy, vector), factors: read(factors, vector), dx: bound(dx, vector) },
      `dx[i] ${set(dx)} dx_type(number(dy[i]) * ${factor});`,
      vector,
    );
  });
  return y;
}

/** The halves of each head exchanged, and the sign of the first one turned. */
function rotateHalf(x: Tensor, headDim: number): Tensor {
  const { graph } = x;
  const half = headDim / 2;
  const y = graph.tensor("rotated halves", x.shape, x.dtype);
  const exchanged = (from: string, negative: "<" | ">=") =>
    `let at = i % ${headDim}u;
    let other = select(i - ${half}u, i + ${half}u, at < ${half}u);
    let value = select(${from}[other], -${from}[other], at ${negative} ${half}u);`;
  graph.elementwise(
    "rotate half",
    x.size,
    { x: read(x), y: write(y) },
    `${exchanged("x", "<")}
    y[i] = value;`,
  );
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (!dx) return;
    graph.elementwise(
      "rotate half dX",
      x.size,
      { dy: read(dy), dx: bound(dx) },
      `${exchanged("dy", ">=")}
    dx[i] ${set(dx)} value;`,
    );
  });
  return y;
}

/** The columns of a and then those of b. */
function besideEachOther(a: Tensor, b: Tensor): Tensor {
  const { graph, shape: [rows, first] } = a;
  const [, second] = b.shape;
  const width = first + second;
  const y = graph.tensor("joined columns", [rows, width], a.dtype);
  graph.elementwise(
    "join columns",
    y.size,
    { a: read(a), b: read(b), y: write(y) },
    `let row = i / ${width}u;
    let column = i % ${width}u;
    if (column < ${first}u) { y[i] = a[row * ${first}u + column]; }
    else { y[i] = b[row * ${second}u + column - ${first}u]; }`,
  );
  graph.onBackward(y, (dy) => {
    for (const [x, from, count] of [[a, 0, first], [b, first, second]] as const) {
      const dx = graph.gradientTarget(x);
      if (!dx) continue;
      graph.elementwise(
        "join columns dX",
        x.size,
        { dy: read(dy), dx: bound(dx) },
        `dx[i] ${set(dx)} dy[i / ${count}u * ${width}u + ${from}u + i % ${count}u];`,
      );
    }
  });
  return y;
}
