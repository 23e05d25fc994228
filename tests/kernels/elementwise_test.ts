import { add } from "../../kernels/layers/add.ts";
import { embedding, orderTokens } from "../../kernels/layers/embedding.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { rmsNorm } from "../../kernels/layers/rms-norm.ts";
import { rope, ropeTable } from "../../kernels/layers/rope.ts";
import { swiglu } from "../../kernels/layers/swiglu.ts";
import { checkOperator } from "./harness.ts";

Deno.test("a sum used twice passes every gradient on", () =>
  checkOperator({
    inputs: { x: { shape: [3, 5] }, weight: { shape: [5, 5], parameter: true } },
    // Both sides of the last sum share its gradient while x still gathers from three readers.
    record: ({ x, weight }) => add(add(x, linear(x, weight)), x),
    reference: ({ x, weight }) =>
      x.map((value, i) => {
        const row = i - i % 5;
        let sum = 2 * value;
        for (let k = 0; k < 5; k++) sum += x[row + k] * weight[(i % 5) * 5 + k];
        return sum;
      }),
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

for (const [rows, width] of [[1, 1], [7, 13], [2, 150], [133, 4]]) {
  Deno.test(`rms-norm of [${rows}, ${width}]`, () =>
    checkOperator({
      inputs: { x: { shape: [rows, width] }, weight: { shape: [width], parameter: true } },
      // A large epsilon: with none, the gradient of a row of one number is 0, a difference of rounded
      // numbers.
      record: ({ x, weight }) => rmsNorm(x, weight, 0.1),
      reference: ({ x, weight }) => rmsNormReference(x, weight, 0.1),
    }));
}

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

Deno.test("swiglu of [2, 3, 14]", () =>
  checkOperator({
    inputs: { x: { shape: [2, 3, 14], operand: true } },
    record: ({ x }) => swiglu(x),
    reference: ({ x }) =>
      Float64Array.from({ length: 42 }, (_, i) => {
        const gate = x[Math.floor(i / 7) * 14 + i % 7];
        return gate / (1 + Math.exp(-gate)) * x[Math.floor(i / 7) * 14 + 7 + i % 7];
      }),
  }));

Deno.test("embedding gathers rows, and sums the gradients of a token seen often", () => {
  const ids = new Uint32Array([4, 0, 4, 2, 4, 0, 6]);
  const order = orderTokens(ids);
  return checkOperator({
    inputs: {
      ids: { shape: [7], data: ids },
      distinct: { shape: [7], data: order.distinct },
      starts: { shape: [8], data: order.starts },
      places: { shape: [7], data: order.places },
      table: { shape: [7, 5], parameter: true },
    },
    record: ({ ids, table, distinct, starts, places }) =>
      embedding(ids, table, { distinct, starts, places }),
    reference: ({ table }) =>
      Float64Array.from({ length: 35 }, (_, i) => table[ids[Math.floor(i / 5)] * 5 + i % 5]),
  });
});

Deno.test("rope turns queries and keys, not values", () => {
  const layout = { heads: 2, keyValueHeads: 1, headDim: 6 };
  const positions = new Uint32Array([0, 1, 5, 2000]);
  return checkOperator({
    inputs: {
      x: { shape: [4, 24], operand: true },
      weight: { shape: [24, 24], parameter: true, operand: true },
      positions: { shape: [4], data: positions },
      table: { shape: [2048, 2, 3], data: ropeTable(2048, 6, 10000), constant: true },
    },
    // Rope overwrites its input, so it stands behind a layer, as in the model.
    record: ({ x, weight, positions, table }) => rope(linear(x, weight), positions, table, layout),
    reference: ({ x, weight }) => {
      const y = new Float64Array(96);
      for (let i = 0; i < 96; i++) {
        for (let k = 0; k < 24; k++) {
          y[i] += x[Math.floor(i / 24) * 24 + k] * weight[(i % 24) * 24 + k];
        }
      }
      return y.map((value, i) => {
        const d = i % 6;
        if (i % 24 >= 18) return value;
        const angle = positions[Math.floor(i / 24)] * 10000 ** (-2 * (d % 3) / 6);
        return d < 3
          ? value * Math.cos(angle) - y[i + 3] * Math.sin(angle)
          : value * Math.cos(angle) + y[i - 3] * Math.sin(angle);
      });
    },
  });
});
