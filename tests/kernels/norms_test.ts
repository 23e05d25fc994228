import { add } from "../../kernels/layers/add.ts";
import { normalizeHeads } from "../../kernels/layers/head-norm.ts";
import { layerNorm } from "../../kernels/layers/layer-norm.ts";
import { rmsNorm } from "../../kernels/layers/rms-norm.ts";
import { checkOperator } from "./harness.ts";

/** Rows and widths: of one number, of no whole vectors, of several lanes, of whole workgroups of rows. */
const SHAPES = [[1, 1], [7, 13], [2, 150], [133, 4]];

/**
 * A large epsilon: with none, the gradient of a row of one number is 0, a difference of rounded
 * numbers.
 */
const EPSILON = 0.1;

for (const [rows, width] of SHAPES) {
  for (const offset of [0, 1]) {
    Deno.test(`rms-norm of [${rows}, ${width}], weights plus ${offset}`, () =>
      checkOperator({
        inputs: { x: { shape: [rows, width] }, weight: { shape: [width], parameter: true } },
        record: ({ x, weight }) => rmsNorm(x, weight, EPSILON, undefined, offset),
        reference: ({ x, weight }) =>
          rmsNormReference(x, weight.map((value) => value + offset), EPSILON),
      }));
  }
}

for (const frozen of ["x", "weight"]) {
  Deno.test(`rms-norm with a frozen ${frozen} has the gradient of the other`, () =>
    checkOperator({
      inputs: {
        x: { shape: [7, 13], constant: frozen === "x" },
        weight: { shape: [13], parameter: frozen !== "weight", constant: frozen === "weight" },
      },
      record: ({ x, weight }) => rmsNorm(x, weight, EPSILON),
      reference: ({ x, weight }) => rmsNormReference(x, weight, EPSILON),
    }));
}

Deno.test("a norm of a sum, added to it, passes gradients of both types on", () =>
  checkOperator({
    inputs: {
      x: { shape: [4, 6] },
      half: { shape: [4, 6], operand: true },
      weight: { shape: [6], parameter: true },
    },
    record: ({ x, half, weight }) => {
      const sum = add(x, half);
      return add(sum, rmsNorm(sum, weight, EPSILON));
    },
    reference: ({ x, half, weight }) => {
      const sum = x.map((value, i) => value + half[i]);
      return rmsNormReference(sum, weight, EPSILON).map((value, i) => value + sum[i]);
    },
  }));

Deno.test("a tensor added to what was made of it keeps both gradients apart", () =>
  checkOperator({
    inputs: { x: { shape: [4, 6] }, weight: { shape: [6], parameter: true } },
    // The norm reads the gradient that it also has to add to.
    record: ({ x, weight }) => add(x, rmsNorm(x, weight, 1e-6)),
    reference: ({ x, weight }) => {
      const y = rmsNormReference(x, weight, 1e-6);
      return y.map((value, i) => value + x[i]);
    },
  }));

function rmsNormReference(x: Float64Array, weight: Float64Array, epsilon: number): Float64Array {
  const width = weight.length;
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let square = 0;
    for (let i = row; i < row + width; i++) square += x[i] * x[i];
    const scale = 1 / Math.sqrt(square / width + epsilon);
    for (let i = row; i < row + width; i++) y[i] = x[i] * scale * weight[i - row];
  }
  return y;
}

for (const [rows, width] of SHAPES) {
  Deno.test(`layer-norm of [${rows}, ${width}], with a weight and a bias`, () =>
    checkOperator({
      inputs: {
        x: { shape: [rows, width] },
        weight: { shape: [width], parameter: true },
        bias: { shape: [width], parameter: true },
      },
      record: ({ x, weight, bias }) => layerNorm(x, EPSILON, { weight, bias }),
      reference: ({ x, weight, bias }) => {
        const y = layerNormReference(x, width, EPSILON);
        return y.map((value, i) => value * weight[i % width] + bias[i % width]);
      },
    }));
}

Deno.test("layer-norm of [5, 12] without parameters, added to its input", () =>
  checkOperator({
    inputs: { x: { shape: [5, 12] } },
    record: ({ x }) => add(x, layerNorm(x, EPSILON)),
    reference: ({ x }) => layerNormReference(x, 12, EPSILON).map((value, i) => value + x[i]),
  }));

Deno.test("layer-norm keeps its digits where the mean is large", () => {
  const data = Float32Array.from({ length: 96 }, (_, i) => 300 + Math.sin(i));
  return checkOperator({
    inputs: { x: { shape: [3, 32], data, constant: true } },
    record: ({ x }) => layerNorm(x, 1e-5),
    reference: ({ x }) => layerNormReference(x, 32, 1e-5),
  });
});

function layerNormReference(x: Float64Array, width: number, epsilon: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += width) {
    const row = x.subarray(first, first + width);
    const mean = row.reduce((sum, value) => sum + value) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    row.forEach((value, i) => y[first + i] = (value - mean) / Math.sqrt(variance + epsilon));
  }
  return y;
}

for (const over of ["each head", "all heads"]) {
  for (
    const layout of [
      { heads: 1, keyValueHeads: 1, headDim: 2 },
      { heads: 4, keyValueHeads: 2, headDim: 6 },
      // More heads than a workgroup of a GPU takes, and heads of whole vectors.
      { heads: 9, keyValueHeads: 3, headDim: 68 },
    ]
  ) {
    const { heads, keyValueHeads, headDim } = layout;
    Deno.test(`norm of ${over}, ${heads}/${keyValueHeads} heads of ${headDim}`, () => {
      const width = (heads + 2 * keyValueHeads) * headDim;
      const each = over === "each head";
      return checkOperator({
        inputs: {
          qkv: { shape: [2, width], operand: true },
          queries: { shape: [each ? headDim : heads * headDim], parameter: true },
          keys: { shape: [each ? headDim : keyValueHeads * headDim], parameter: true },
        },
        record: ({ qkv, queries, keys }) => normalizeHeads(qkv, queries, keys, layout, EPSILON),
        reference: ({ qkv, queries, keys }) => {
          const y = Float64Array.from(qkv);
          for (let row = 0; row < qkv.length; row += width) {
            const norm = (weight: Float64Array, first: number, count: number) => {
              for (let at = row + first; at < row + first + count; at += weight.length) {
                const part = qkv.subarray(at, at + weight.length);
                y.set(rmsNormReference(part, weight, EPSILON), at);
              }
            };
            norm(queries, 0, heads * headDim);
            norm(keys, heads * headDim, keyValueHeads * headDim);
          }
          return y;
        },
      });
    });
  }
}
