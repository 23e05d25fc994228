import { add } from "../../kernels/layers/add.ts";
import { cast } from "../../kernels/layers/cast.ts";
import { clip } from "../../kernels/layers/clip.ts";
import { embedding, orderTokens } from "../../kernels/layers/embedding.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { rope, ropeFrequencies, ropeTable } from "../../kernels/layers/rope.ts";
import { geglu, gelu, swiglu } from "../../kernels/layers/activations.ts";
import { scale } from "../../kernels/layers/scale.ts";
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

const tanhGelu = (x: number) =>
  x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

Deno.test("geglu of [3, 26]", () =>
  checkOperator({
    inputs: { x: { shape: [3, 26], operand: true } },
    record: ({ x }) => geglu(x),
    reference: ({ x }) =>
      Float64Array.from({ length: 39 }, (_, i) => {
        const at = Math.floor(i / 13) * 26 + i % 13;
        return tanhGelu(x[at]) * x[at + 13];
      }),
  }));

for (const shape of [[3, 5], [2, 150]]) {
  Deno.test(`gelu, scale, clip and cast of [${shape}], added to their input`, () =>
    checkOperator({
      inputs: { x: { shape, operand: true } },
      // Each adds to a gradient that the others share.
      record: ({ x }) => {
        const same = cast(cast(x, "f32"), x.graph.operand);
        return add(add(gelu(x), scale(same, -0.75)), add(clip(x, 0.8), x));
      },
      reference: ({ x }) =>
        x.map((value) => tanhGelu(value) + value / 4 + Math.max(-0.8, Math.min(0.8, value))),
    }));
}

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

for (const rotated of [6, 4]) {
  Deno.test(`rope turns ${rotated} of 6 numbers of queries and keys, and no values`, () =>
    checkRope(rotated));
}

function checkRope(rotated: number): Promise<void> {
  const layout = { heads: 2, keyValueHeads: 1, headDim: 6 };
  const positions = new Uint32Array([0, 1, 5, 2000]);
  const data = ropeTable(2048, ropeFrequencies(rotated, 10000));
  return checkOperator({
    inputs: {
      x: { shape: [4, 24], operand: true },
      weight: { shape: [24, 24], parameter: true, operand: true },
      positions: { shape: [4], data: positions },
      table: { shape: [2048, 2, rotated / 2], data, constant: true },
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
        if (i % 24 >= 18 || d >= rotated) return value;
        const half = rotated / 2;
        const angle = positions[Math.floor(i / 24)] * 10000 ** (-2 * (d % half) / rotated);
        return d < half
          ? value * Math.cos(angle) - y[i + half] * Math.sin(angle)
          : value * Math.cos(angle) + y[i - half] * Math.sin(angle);
      });
    },
  });
}
