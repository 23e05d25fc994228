import { assertEquals } from "@std/assert";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph } from "../../kernels/runtime/graph.ts";
import { matmul } from "../../kernels/matmul/matmul.ts";
import type { MatrixLayout, MatrixProduct } from "../../kernels/matmul/product.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { assertClose, gpu, precisions, randomNumbers } from "./harness.ts";

type Case = Omit<MatrixProduct, "layout"> & { half?: boolean };

const plain = { batch: 1, accumulate: false, bias: false };
const cases: Case[] = [
  { ...plain, m: 1, n: 1, k: 1 },
  { ...plain, m: 67, n: 29, k: 31, bias: true },
  { ...plain, m: 13, n: 136, k: 72, batch: 3, accumulate: true },
  // Multiples of 8, as tensor cores need, and of no tile.
  { ...plain, m: 200, n: 136, k: 72, bias: true, half: true },
  { ...plain, m: 136, n: 264, k: 40, accumulate: true },
  // So few rows that only b is worth thinking of.
  { ...plain, m: 3, n: 20, k: 148, batch: 2 },
  { ...plain, m: 9, n: 12, k: 148, bias: true, half: true },
  { ...plain, m: 16, n: 8, k: 4096, accumulate: true },
  // More than a workgroup computes, and not divided evenly.
  { ...plain, m: 41, n: 20, k: 148, batch: 2 },
  // An inner dimension to split.
  { ...plain, m: 72, n: 24, k: 8192, accumulate: true },
  { ...plain, m: 72, n: 8, k: 4096, half: true },
  { ...plain, m: 72, n: 40, k: 12, accumulate: true },
];

for (const layout of ["nt", "nn", "tn"] as const) {
  for (const shape of cases) {
    const { batch, m, n, k, accumulate, bias, half } = shape;
    const name = `${layout} ${batch}×[${m}, ${n}, ${k}]${accumulate ? " accumulated" : ""}${
      bias ? " with bias" : ""
    }${half ? " in half" : ""}`;
    Deno.test(`product ${name}`, () =>
      checkProduct({ layout, batch, m, n, k, accumulate, bias }, half));
  }
}

Deno.test("a row of a product with few rows has the same bits wherever it stands", async () => {
  const [m, n, k] = [4, 8, 256];
  const random = randomNumbers(3);
  const [row, b] = [random(k), random(n * k)];
  const graph = new Graph({ ...gpu.capabilities, cpu: false, tensorCores: false });
  const a = graph.input("a", [m * k]);
  const weights = graph.input("b", [n * k]);
  const c = graph.output("c", [m * n]);
  const product = { layout: "nt", batch: 1, m, n, k, accumulate: false, bias: false } as const;
  matmul(graph, "product", product, { a, b: weights, c });
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, a, Float32Array.from({ length: m * k }, (_, i) => row[i % k]));
  upload(gpu, weights, Float32Array.from(b));
  plan.run();
  const results = await download(gpu, c);
  plan.destroy();
  for (let i = n; i < m * n; i++) assertEquals(results[i], results[i % n]);
});

/** Every variant of the kernel that the device has, against a product in float64. */
async function checkProduct(product: MatrixProduct, half = false) {
  const { batch, m, n, k } = product;
  const random = randomNumbers(7);
  const exact = (length: number) => Float32Array.from(Float16Array.from(random(length)));
  const [a, b, before] = [exact(batch * m * k), exact(batch * n * k), exact(batch * m * n)];
  const bias = exact(batch * n);
  const expected = reference(product, a, b, before, bias);
  for (const precision of precisions) {
    for (const cpu of [true, false]) {
      const mixed = precision === "mixed";
      const graph = new Graph({
        ...gpu.capabilities,
        cpu,
        tensorCores: !cpu && gpu.capabilities.tensorCores,
      });
      const operand = mixed ? "f16" : "f32";
      const inputs = {
        a: graph.input("a", [batch * m * k], operand),
        b: graph.input("b", [batch * n * k], operand),
        c: graph.output("c", [batch * m * n], mixed && half ? "f16" : "f32"),
        bias: graph.input("bias", [batch * n]),
      };
      matmul(graph, "product", product, {
        ...inputs,
        bias: product.bias ? inputs.bias : undefined,
      });
      const result = graph.output("result", [batch * m * n]);
      graph.elementwise(
        "copy",
        result.size,
        { c: read(inputs.c), result: write(result) },
        "result[i] = f32(c[i]);",
      );
      const plan = await new Draft(graph).build(gpu);
      upload(gpu, inputs.a, mixed ? Float16Array.from(a) : a);
      upload(gpu, inputs.b, mixed ? Float16Array.from(b) : b);
      upload(gpu, inputs.bias, bias);
      if (product.accumulate) upload(gpu, inputs.c, before);
      plan.run();
      // The operands are exact in f16: only sums are rounded, in f32, and a result in f16.
      const tolerance = mixed && half ? 1e-3 : 2e-6;
      assertClose(`${precision}, cpu ${cpu}`, await download(gpu, result), expected, tolerance);
      plan.destroy();
    }
  }
}

function reference(
  { layout, batch, m, n, k, accumulate, bias: biased }: MatrixProduct,
  a: Float32Array,
  b: Float32Array,
  before: Float32Array,
  bias: Float32Array,
): Float64Array {
  const at: Record<MatrixLayout, (row: number, column: number, i: number) => [number, number]> = {
    nt: (row, column, i) => [row * k + i, column * k + i],
    nn: (row, column, i) => [row * k + i, i * n + column],
    tn: (row, column, i) => [i * m + row, i * n + column],
  };
  const c = new Float64Array(batch * m * n);
  for (let part = 0; part < batch; part++) {
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        const to = (part * m + row) * n + column;
        let sum = (accumulate ? before[to] : 0) + (biased ? bias[part * n + column] : 0);
        for (let i = 0; i < k; i++) {
          const [x, y] = at[layout](row, column, i);
          sum += a[part * m * k + x] * b[part * n * k + y];
        }
        c[to] = sum;
      }
    }
  }
  return c;
}
