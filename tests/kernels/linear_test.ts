import { linear } from "../../kernels/layers/linear.ts";
import { checkOperator } from "./harness.ts";

const shapes = [
  { batch: 1, rows: 1, inputs: 1, outputs: 1 },
  { batch: 1, rows: 5, inputs: 7, outputs: 3 },
  { batch: 1, rows: 13, inputs: 20, outputs: 36 },
  { batch: 3, rows: 2, inputs: 12, outputs: 17 },
];

for (const { batch, rows, inputs, outputs } of shapes) {
  Deno.test(`linear of ${batch}×[${rows}, ${inputs}] to ${outputs}`, () =>
    checkOperator({
      inputs: {
        x: { shape: batch > 1 ? [batch, rows, inputs] : [rows, inputs], operand: true },
        weight: {
          shape: batch > 1 ? [batch, outputs, inputs] : [outputs, inputs],
          parameter: true,
          operand: true,
        },
        ...(batch === 1 && { bias: { shape: [outputs], parameter: true } }),
      },
      record: ({ x, weight, bias }) => linear(x, weight, bias),
      reference: ({ x, weight, bias }) => {
        const y = new Float64Array(batch * rows * outputs);
        for (let b = 0; b < batch; b++) {
          for (let row = 0; row < rows; row++) {
            for (let out = 0; out < outputs; out++) {
              let sum = bias?.[out] ?? 0;
              for (let i = 0; i < inputs; i++) {
                sum += x[(b * rows + row) * inputs + i] * weight[(b * outputs + out) * inputs + i];
              }
              y[(b * rows + row) * outputs + out] = sum;
            }
          }
        }
        return y;
      },
    }));
}
