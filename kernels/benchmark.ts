import { attention } from "./attention/attention.ts";
import { scoreFlops } from "./attention/variant.ts";
import { matmul } from "./matmul/matmul.ts";
import { type MatrixLayout, productFlops } from "./matmul/product.ts";
import { FACTORS, multiplications } from "./multiplications.ts";
import type { Gpu } from "./runtime/device.ts";
import { read, write } from "./runtime/dispatch.ts";
import { Graph, type Tensor } from "./runtime/graph.ts";
import { Draft } from "./runtime/plan.ts";
import { type LabelTime, profile } from "./runtime/profile.ts";
import { layOutSequences, sequenceInputs } from "./layers/sequences.ts";
import { download, upload } from "./runtime/transfer.ts";
import { UserError } from "./runtime/user-error.ts";

/** Sizes of the model whose kernels are timed. */
export interface KernelShapes {
  readonly microBatch: number;
  readonly sequence: number;
  readonly hidden: number;
  readonly heads: number;
  readonly headDim: number;
  readonly vocabulary: number;
}

export interface KernelRate {
  readonly name: string;
  readonly shape: string;
  /** Median over several runs. */
  readonly milliseconds: number;
  readonly rate: number;
  readonly unit: "TFLOP/s" | "GB/s";
}

const ROUNDS = 9;
/** Milliseconds that a GPU works before it is timed: idle or hot, its clock is low for a while. */
const GPU_WARM_UP = 400;
/** Runs at a time meanwhile: short ones with waits between them would leave it nearly idle. */
const RUNS_AT_A_TIME = 10;
/** Rows of a chunk of the head, as in cuBLAS's figures that these are compared with. */
const HEAD_ROWS = 2048;

/** A product that is timed. */
export interface TimedProduct {
  readonly name: string;
  /** As training has it. */
  readonly layout: MatrixLayout;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The products of a model that are timed. */
export function timedProducts(
  { microBatch, sequence, hidden, vocabulary }: KernelShapes,
): TimedProduct[] {
  const tokens = microBatch * sequence;
  const rows = Math.min(HEAD_ROWS, tokens);
  return [
    { name: "qkv", layout: "nt", m: tokens, n: 3 * hidden, k: hidden },
    { name: "out", layout: "nt", m: tokens, n: hidden, k: hidden },
    { name: "head", layout: "nt", m: rows, n: vocabulary, k: hidden },
    { name: "head dW", layout: "tn", m: vocabulary, n: hidden, k: rows },
    { name: "out dW", layout: "tn", m: hidden, n: hidden, k: tokens },
  ];
}

/** What bounds a device's kernels: how fast memory is, and how fast products can be at most. */
export interface DeviceLimits {
  readonly copy: KernelRate;
  readonly multiply: KernelRate;
}

/** f32 that a copy moves: more than a GPU's caches hold. */
export const COPIED = { cpu: 1 << 20, gpu: 1 << 27 };

/**
 * Times a copy, and multiplications in registers.
 *
 * @throws UserError if the device cannot write timestamps
 */
export async function benchmarkLimits(gpu: Gpu, mixed: boolean): Promise<DeviceLimits> {
  return {
    copy: await benchmarkCopy(gpu, COPIED[gpu.capabilities.cpu ? "cpu" : "gpu"]),
    multiply: await benchmarkMultiplications(gpu, mixed),
  };
}

/**
 * Checks products against float64, and then times kernels at a model's own shapes.
 *
 * @throws UserError if the product is wrong, or if the device cannot write timestamps
 */
export async function benchmarkKernels(
  gpu: Gpu,
  shapes: KernelShapes,
  mixed: boolean,
): Promise<KernelRate[]> {
  for (const layout of ["nt", "nn", "tn"] as const) await checkProduct(gpu, layout, mixed);
  const rates: KernelRate[] = [];
  // First as training has them, then as products of row-major matrices, as libraries are timed.
  for (const rowMajor of [false, true]) {
    for (const { name, layout, m, n, k } of timedProducts(shapes)) {
      rates.push(await benchmarkProduct(gpu, name, rowMajor ? "nn" : layout, m, n, k, mixed));
    }
  }
  return [...rates, ...await timeAttention(gpu, shapes, mixed)];
}

/** Times a copy of so many f32, as bytes read and written together: the most that memory allows. */
export async function benchmarkCopy(gpu: Gpu, elements: number): Promise<KernelRate> {
  const graph = new Graph(gpu.capabilities);
  const source = graph.input("source", [elements]);
  const copy = graph.output("copy", [elements]);
  graph.parallel("copy", { source: read(source), copy: write(copy) }, "copy[i] = source[i];");
  const [{ milliseconds }] = await medians(gpu, graph);
  const rate = 8 * elements / milliseconds / 1e6;
  return { name: "copy", shape: `${elements}`, milliseconds, rate, unit: "GB/s" };
}

async function benchmarkMultiplications(gpu: Gpu, mixed: boolean): Promise<KernelRate> {
  const graph = new Graph(gpu.capabilities, { mixed });
  const factors = graph.input("factors", [FACTORS], graph.operand);
  const flops = multiplications(graph, factors);
  const [{ milliseconds }] = await medians(gpu, graph, () => fillRandom(gpu, factors));
  const rate = flops / milliseconds / 1e9;
  return { name: "multiply", shape: "in registers", milliseconds, rate, unit: "TFLOP/s" };
}

/**
 * Times a product of random matrices, in f32 or with operands in f16.
 *
 * @throws UserError if the device cannot write timestamps
 */
export async function benchmarkProduct(
  gpu: Gpu,
  name: string,
  layout: MatrixLayout,
  m: number,
  n: number,
  k: number,
  mixed: boolean,
): Promise<KernelRate> {
  const graph = new Graph(gpu.capabilities, { mixed });
  const a = graph.input("a", [m * k], graph.operand);
  const b = graph.input("b", [n * k], graph.operand);
  const c = graph.output("c", [m * n], layout === "tn" ? "f32" : graph.operand);
  const product = { layout, m, n, k, batch: 1, accumulate: layout === "tn", bias: false };
  matmul(graph, name, product, { a, b, c });
  const times = await medians(gpu, graph, () => {
    fillRandom(gpu, a);
    fillRandom(gpu, b);
  });
  const milliseconds = times.reduce((sum, time) => sum + time.milliseconds, 0);
  const rate = productFlops(product) / milliseconds / 1e9;
  return { name, shape: `${m}×${n}×${k} ${layout}`, milliseconds, rate, unit: "TFLOP/s" };
}

async function timeAttention(
  gpu: Gpu,
  { microBatch, sequence, heads, headDim }: KernelShapes,
  mixed: boolean,
): Promise<KernelRate[]> {
  const graph = new Graph(gpu.capabilities, { mixed, training: true });
  const tokens = microBatch * sequence;
  const qkv = graph.input("qkv", [tokens, 3 * heads * headDim], graph.operand);
  const upstream = graph.input("upstream", [tokens, heads * headDim], graph.operand);
  const sequences = sequenceInputs(graph, tokens, microBatch, sequence);
  graph.onBackward(qkv, () => {});
  const y = attention(qkv, sequences, { heads, keyValueHeads: heads, headDim });
  y.gradient = upstream;
  graph.backward();
  const times = await medians(gpu, graph, () => {
    const rows = layOutSequences(Array(microBatch).fill(sequence), tokens, microBatch);
    upload(gpu, sequences.starts, rows.starts);
    upload(gpu, sequences.ends, rows.ends);
    fillRandom(gpu, qkv);
    fillRandom(gpu, upstream);
  });
  // 2 products forward and 5 backward are useful work, whatever is computed again.
  const product = scoreFlops({ tokens, longest: sequence, headDim }, heads);
  const forward = times.filter(({ label }) => label === "attention");
  const backward = times.filter(({ label }) => label !== "attention");
  const shape = `${microBatch}×${sequence}, ${heads} heads of ${headDim}`;
  return ([["attention", forward, 2], ["attention backward", backward, 5]] as const).map(
    ([name, parts, products]) => {
      const milliseconds = parts.reduce((sum, time) => sum + time.milliseconds, 0);
      const rate = products * product / milliseconds / 1e9;
      return { name, shape, milliseconds, rate, unit: "TFLOP/s" };
    },
  );
}

/** Builds and runs a graph several times: the median time of each label. */
async function medians(gpu: Gpu, graph: Graph, fill: () => void = () => {}) {
  const plan = await new Draft(graph).build(gpu);
  fill();
  const began = performance.now();
  const warmUp = gpu.capabilities.cpu ? 0 : GPU_WARM_UP;
  do {
    for (let run = 1; warmUp > 0 && run < RUNS_AT_A_TIME; run++) plan.run();
    await profile(gpu, plan);
  } while (performance.now() - began < warmUp);
  const rounds: LabelTime[][] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await profile(gpu, plan));
  plan.destroy();
  return rounds[0].map(({ label }) => {
    const times = rounds.map((round) => round.find((each) => each.label === label)!.milliseconds);
    return { label, milliseconds: times.sort((x, y) => x - y)[Math.floor(ROUNDS / 2)] };
  });
}

/** Fills a tensor with random numbers: products of zeros would be faster. */
function fillRandom(gpu: Gpu, tensor: Tensor): void {
  const block = Float32Array.from({ length: 1 << 16 }, () => Math.random() - 0.5);
  const values = tensor.dtype === "f16" ? Float16Array.from(block) : block;
  for (let first = 0; first < tensor.size; first += values.length) {
    const count = Math.min(values.length, tensor.size - first);
    upload(gpu, tensor, values.subarray(0, count), first);
  }
}

async function checkProduct(gpu: Gpu, layout: MatrixLayout, mixed: boolean): Promise<void> {
  const [m, n, k] = [136, 200, 264];
  const graph = new Graph(gpu.capabilities, { mixed });
  const a = graph.input("a", [m * k], graph.operand);
  const b = graph.input("b", [n * k], graph.operand);
  const c = graph.output("c", [m * n]);
  const product = { layout, m, n, k, batch: 1, accumulate: false, bias: false };
  matmul(graph, "check", product, { a, b, c });
  const plan = await new Draft(graph).build(gpu);
  const numbers = (length: number) =>
    Float32Array.from(Float16Array.from({ length }, () => Math.random() - 0.5));
  const [x, y] = [numbers(m * k), numbers(n * k)];
  upload(gpu, a, mixed ? Float16Array.from(x) : x);
  upload(gpu, b, mixed ? Float16Array.from(y) : y);
  plan.run();
  const result = await download(gpu, c);
  const worst = result.reduce((most, value, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let i = 0; i < k; i++) {
      sum += x[layout === "tn" ? i * m + row : row * k + i] *
        y[layout === "nt" ? column * k + i : i * n + column];
    }
    return Math.max(most, Math.abs(value - sum));
  }, 0);
  plan.destroy();
  if (!(worst < 1e-4)) {
    throw new UserError(
      `The matrix product (${layout}) is wrong by ${worst}: its speed means nothing.`,
    );
  }
}
