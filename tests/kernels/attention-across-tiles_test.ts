/** Attention at sizes that cross tiles, with an analytic gradient: differences would take too long. */
import { assertEquals } from "@std/assert";
import { attention } from "../../kernels/attention/attention.ts";
import { WORKGROUP_BYTES } from "../../kernels/runtime/fragment.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph } from "../../kernels/runtime/graph.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { layOutSequences, sequenceInputs, slidingWindow } from "../../kernels/layers/sequences.ts";
import { keyValueGradient } from "../../kernels/attention/tensor-cores/attention-key-value-gradient-text.ts";
import { queryGradient } from "../../kernels/attention/tensor-cores/attention-query-gradient-text.ts";
import { tensorCoreAttentionForward } from "../../kernels/attention/tensor-cores/attention-forward-text.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { assertClose, gpu, randomNumbers } from "./harness.ts";

/** Weights and their gradients pass through f16 on the way, and what comes out is rounded to it. */
const TOLERANCE = 2e-3;

interface Shape {
  readonly tokens: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly lengths: readonly number[];
  /** How far apart scores are. */
  readonly spread: number;
  readonly window?: number;
}

const SHAPES: readonly Shape[] = [
  { tokens: 300, heads: 2, keyValueHeads: 2, headDim: 56, lengths: [300], spread: 1 },
  { tokens: 277, heads: 8, keyValueHeads: 2, headDim: 32, lengths: [19, 131, 127], spread: 2 },
  // Scores far apart: running maxima grow and sums are rescaled.
  { tokens: 170, heads: 1, keyValueHeads: 1, headDim: 64, lengths: [133, 37], spread: 6 },
  // So far apart that rows of a workgroup take new references at many tiles, and again.
  { tokens: 400, heads: 2, keyValueHeads: 2, headDim: 56, lengths: [60, 340], spread: 12 },
  { tokens: 140, heads: 2, keyValueHeads: 1, headDim: 128, lengths: [40, 100], spread: 1 },
  // Many short sequences: places for gradients of scores are used again.
  {
    tokens: 640,
    heads: 2,
    keyValueHeads: 1,
    headDim: 56,
    lengths: [50, 150, 33, 1, 160, 120, 97],
    spread: 1,
  },
  // Rows of ten vectors, over which lanes do not divide; a sequence of one token, and padding.
  { tokens: 70, heads: 2, keyValueHeads: 1, headDim: 80, lengths: [1, 65], spread: 1 },
  // Windows that end inside tiles, and one shorter than a tile.
  {
    tokens: 300,
    heads: 2,
    keyValueHeads: 2,
    headDim: 64,
    lengths: [211, 80],
    spread: 1,
    window: 75,
  },
  {
    tokens: 140,
    heads: 2,
    keyValueHeads: 1,
    headDim: 128,
    lengths: [40, 100],
    spread: 1,
    window: 5,
  },
  // Heads wider than tensor cores and one invocation's registers take.
  { tokens: 90, heads: 2, keyValueHeads: 1, headDim: 256, lengths: [1, 40, 44], spread: 3 },
  { tokens: 70, heads: 2, keyValueHeads: 2, headDim: 136, lengths: [70], spread: 1, window: 40 },
];

Deno.test("attention on tensor cores counts in whole numbers at every head size", () => {
  for (let headDim = 8; headDim <= 128; headDim += 8) {
    const options = { tokens: 300, heads: 4, keyValueHeads: 2, headDim, longest: 100 };
    const gradients = { ...options, firstSharedHead: 1, sharedHeads: 1 };
    const kernels = [
      tensorCoreAttentionForward(options),
      queryGradient(gradients),
      keyValueGradient(gradients),
    ];
    for (const { code } of kernels) assertEquals(code.match(/\d*\.\d+u/), null, `${headDim}`);
  }
});

Deno.test("what a device must have of workgroup memory is what the largest kernel takes", () => {
  const options = { tokens: 300, heads: 1, keyValueHeads: 1, headDim: 128, longest: 300 };
  const gradients = { ...options, firstSharedHead: 0, sharedHeads: 1 };
  const kernels = [
    tensorCoreAttentionForward(options),
    queryGradient(gradients),
    keyValueGradient(gradients),
  ];
  const bytes = kernels.map(({ code }) =>
    [...code.matchAll(/var<workgroup> \w+: array<vec4<\w+>, (\d+)>/g)]
      .reduce((sum, [, vectors]) => sum + 16 * Number(vectors), 0)
  );
  assertEquals(Math.max(...bytes), WORKGROUP_BYTES);
});

Deno.test("attention says how many multiplications its products take, on every path", () => {
  const [tokens, longest, layout] = [128, 64, { heads: 4, keyValueHeads: 2, headDim: 8 }];
  const product = tokens * longest * layout.headDim * layout.heads;
  for (const tensorCores of [false, true]) {
    const capabilities = { ...gpu.capabilities, cpu: false, f16: true, tensorCores };
    const graph = new Graph(capabilities, { training: true, mixed: true });
    const qkv = graph.input("qkv", [tokens, 8 * layout.headDim], "f16");
    graph.onBackward(qkv, () => {});
    const y = attention(qkv, sequenceInputs(graph, tokens, 2, longest), layout);
    y.gradient = graph.input("upstream", y.shape, "f16");
    graph.backward();
    const products: Record<string, number> = {};
    for (const { label, flops } of graph.dispatches) {
      if (flops > 0) products[label] = (products[label] ?? 0) + flops / product;
    }
    // On tensor cores, the gradient of queries takes those of scores from that of keys.
    const ofQueries = tensorCores ? 1 : 3;
    assertEquals(products, { attention: 2, "attention dQ": ofQueries, "attention dKV": 4 });
  }
});

for (const shape of SHAPES) {
  const { heads, keyValueHeads, headDim, lengths } = shape;
  const name =
    `attention in f16, ${heads}/${keyValueHeads} heads of ${headDim}, lengths ${lengths}`;
  Deno.test({
    name: shape.window ? `${name}, a window of ${shape.window}` : name,
    // Tensor cores take f16 only; where there are none, the plain kernels stand in.
    ignore: !gpu.capabilities.f16,
    fn: () => checkAttention(shape),
  });
}

async function checkAttention({ lengths, spread, window, ...shape }: Shape) {
  const { tokens, heads, keyValueHeads, headDim } = shape;
  const width = (heads + 2 * keyValueHeads) * headDim;
  const random = randomNumbers(11);
  const halves = (length: number, factor = 1) =>
    Float16Array.from(random(length), (x) => x * factor);
  const qkv = halves(tokens * width, spread / 2);
  const upstream = halves(tokens * heads * headDim);
  const rows = layOutSequences(lengths, tokens, lengths.length);
  const start = (token: number) => Math.max(rows.starts[token], token + 1 - (window ?? tokens));
  const expected = attentionReference(qkv, upstream, shape, start);

  // So little room for the gradients of scores that heads are computed one after the other.
  const capabilities = { ...gpu.capabilities, cpu: false, maxBindingBytes: 900_000 };
  const graph = new Graph(capabilities, { training: true, mixed: true });
  const input = graph.input("qkv", [tokens, width], "f16");
  const sequences = sequenceInputs(graph, tokens, lengths.length, Math.max(...lengths));
  const results = {
    output: graph.output("output", [tokens, heads * headDim]),
    gradient: graph.output("gradient", [tokens, width]),
  };
  const keep = (source: typeof input, into: typeof input) =>
    graph.elementwise(
      "copy",
      source.size,
      { source: read(source), into: write(into) },
      "into[i] = f32(source[i]);",
    );
  graph.onBackward(input, (gradient) => keep(gradient, results.gradient));
  const y = attention(input, window ? slidingWindow(sequences, window) : sequences, shape);
  keep(y, results.output);
  const upstreamInput = y.gradient = graph.input("upstream", y.shape, "f16");
  graph.backward();
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, input, qkv);
  upload(gpu, upstreamInput, upstream);
  upload(gpu, sequences.starts, rows.starts);
  upload(gpu, sequences.ends, rows.ends);
  plan.run();

  const gradient = await download(gpu, results.gradient);
  assertClose("output", await download(gpu, results.output), expected.output, TOLERANCE);
  const parts: [string, number, number][] = [
    ["queries", 0, heads],
    ["keys", heads, heads + keyValueHeads],
    ["values", heads + keyValueHeads, heads + 2 * keyValueHeads],
  ];
  for (const [part, from, to] of parts) {
    const columns = (numbers: ArrayLike<number>) =>
      Array.from(numbers).filter((_, i) => i % width >= from * headDim && i % width < to * headDim);
    assertClose(`gradient of ${part}`, columns(gradient), columns(expected.gradient), TOLERANCE);
  }
  plan.destroy();
}

/** Causal attention and its gradient in float64, one row at a time. */
function attentionReference(
  qkv: Float16Array,
  upstream: Float16Array,
  { tokens, heads, keyValueHeads, headDim }: Omit<Shape, "lengths" | "spread">,
  start: (token: number) => number,
): { output: Float64Array; gradient: Float64Array } {
  const width = (heads + 2 * keyValueHeads) * headDim, scale = 1 / Math.sqrt(headDim);
  const output = new Float64Array(upstream.length), gradient = new Float64Array(qkv.length);
  const dims = Array.from({ length: headDim }, (_, d) => d);
  const dot = (a: Float16Array, at: number, b: Float16Array, bt: number) =>
    dims.reduce((sum, d) => sum + a[at + d] * b[bt + d], 0);
  for (let head = 0; head < heads; head++) {
    const shared = Math.floor(head / (heads / keyValueHeads));
    for (let token = 0; token < tokens; token++) {
      const query = token * width + head * headDim;
      const out = (token * heads + head) * headDim;
      const keys = Array.from({ length: token - start(token) + 1 }, (_, i) => start(token) + i)
        .map((other) => other * width + (heads + shared) * headDim);
      const toValue = keyValueHeads * headDim;
      const scores = keys.map((key) => dot(qkv, query, qkv, key) * scale);
      const peak = Math.max(...scores), powers = scores.map((score) => Math.exp(score - peak));
      const total = powers.reduce((sum, power) => sum + power, 0);
      const weights = powers.map((power) => power / total);
      const changes = keys.map((key) => dot(upstream, out, qkv, key + toValue));
      const mean = changes.reduce((sum, change, i) => sum + change * weights[i], 0);
      keys.forEach((key, i) => {
        const pull = weights[i] * (changes[i] - mean) * scale;
        for (const d of dims) {
          output[out + d] += weights[i] * qkv[key + toValue + d];
          gradient[query + d] += pull * qkv[key + d];
          gradient[key + d] += pull * qkv[query + d];
          gradient[key + toValue + d] += weights[i] * upstream[out + d];
        }
      });
    }
  }
  return { output, gradient };
}
