/** The gradient of hidden states without the columns that hardly matter, against the whole one. */
import { assert, assertEquals } from "@std/assert";
import { head, type HeadGradient, IGNORED } from "../../kernels/loss/head.ts";
import { BLOCK_ROWS, LEFT_OUT, listColumns, moveToFront } from "../../kernels/loss/kept-columns.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { assertClose, gpu, HALF_TOLERANCE, randomNumbers } from "./harness.ts";

interface Shape {
  readonly tokens: number;
  readonly vocabulary: number;
  readonly width: number;
  /** How far apart logits are; 0 makes all tokens equally likely. */
  readonly spread: number;
  /** The token that nearly has all probability. */
  readonly certain?: number;
  /** Rows from this one on have no label. */
  readonly labelled?: number;
  readonly maxBindingBytes?: number;
}

const shapes: Shape[] = [
  // Two chunks, the second of a part of a block.
  { tokens: 150, vocabulary: 40, width: 5, spread: 9, maxBindingBytes: 128 * 40 * 4 },
  { tokens: 131, vocabulary: 37, width: 6, spread: 9 },
  // A block without labels, and rows without a label in the other.
  { tokens: 256, vocabulary: 64, width: 8, spread: 9, labelled: 100 },
  // One token is nearly certain: of the others, labels alone stay.
  { tokens: 130, vocabulary: 72, width: 8, spread: 1, certain: 1 },
  // Everything stays, as at the start of training.
  { tokens: 130, vocabulary: 72, width: 8, spread: 0 },
  // Splits of the lists, and lists that end inside a stage.
  { tokens: 260, vocabulary: 4104, width: 16, spread: 5 },
];

/** Mixed precision is worth its time where it runs on tensor cores. */
const variants = gpu.capabilities.tensorCores ? [false, true] : [false];

for (const shape of shapes) {
  const { tokens, vocabulary, spread } = shape;
  const name = `${tokens} rows of ${vocabulary} tokens, spread ${spread}`;
  Deno.test({
    name: `filtered gradient of hidden states: ${name}`,
    // Only tensor cores have lists to split.
    ignore: vocabulary > 4096 && !gpu.capabilities.tensorCores,
    fn: () => checkFiltered(shape),
  });
}

async function checkFiltered(shape: Shape) {
  const { tokens, vocabulary, width, spread } = shape;
  const random = randomNumbers(5);
  const exact = (count: number, factor: number) =>
    Float32Array.from(Float16Array.from(random(count), (x) => factor * x));
  const hidden = exact(tokens * width, spread / Math.sqrt(width));
  const weights = exact(vocabulary * width, 1);
  if (shape.certain !== undefined) {
    for (let row = 0; row < tokens; row++) hidden[row * width] = 8;
    for (let token = 0; token < vocabulary; token++) weights[token * width] = 0;
    weights[shape.certain * width] = 8;
  }
  const labels = Uint32Array.from(
    { length: tokens },
    (_, row) => row % 5 === 3 || row >= (shape.labelled ?? tokens) ? IGNORED : 2 * row % 22,
  );
  const lossWeights = Float32Array.from(labels, (_, row) => 1 + row % 3);
  const inputs = { hidden, weights, labels, lossWeights };
  const { whole, filtered, leftOut } = reference(shape, inputs);
  assertEquals(spread > 0, leftOut.some((rest) => rest > 0));
  const norm = (numbers: ArrayLike<number>, row: number) =>
    Math.hypot(...Array.from(numbers).slice(row * width, (row + 1) * width));
  const longest = Array.from({ length: vocabulary }, (_, token) => norm(weights, token))
    .reduce((a, b) => Math.max(a, b));
  for (const mixed of variants) {
    const tolerance = mixed ? HALF_TOLERANCE : 1e-4;
    const run = (gradient: HeadGradient) => hiddenGradient(shape, inputs, gradient, mixed);
    const [wholeRun, filteredRun] = [await run("whole"), await run("filtered")];
    assertClose(`whole, mixed ${mixed}`, wholeRun, whole, tolerance);
    assertClose(`filtered, mixed ${mixed}`, filteredRun, filtered, tolerance);
    const difference = filteredRun.map((value, i) => value - wholeRun[i]);
    labels.forEach((label, row) => {
      const bound = label === IGNORED ? 0 : lossWeights[row] * LEFT_OUT * longest;
      assert(leftOut[row] <= LEFT_OUT);
      assert(norm(difference, row) <= bound + tolerance * norm(whole, row), `row ${row}`);
    });
  }
}

Deno.test("columns that stay are listed and moved to the front, with zeros behind them", async () => {
  const [rows, vocabulary] = [2 * BLOCK_ROWS + 5, 300];
  const words = Math.ceil(vocabulary / 32);
  // Some columns, none, and all.
  const stays = [(c: number) => c % 7 === 2 || c > 290, () => false, () => true];
  const marks = new Uint32Array(3 * words);
  const kept = stays.map((stay, block) =>
    Array.from({ length: vocabulary }, (_, column) => column).filter((column) => {
      if (stay(column)) marks[block * words + (column >> 5)] |= 1 << (column & 31);
      return stay(column);
    })
  );
  for (const cpu of [true, false]) {
    const graph = new Graph({ ...gpu.capabilities, cpu });
    const marked = graph.input("marks", [3, words], "u32");
    const gradient = graph.output("gradient", [rows, vocabulary]);
    const lists = listColumns(graph, marked, vocabulary);
    moveToFront(gradient, lists);
    graph.keep(lists.counts);
    const plan = await new Draft(graph).build(gpu);
    upload(gpu, marked, marks);
    const numbers = Float32Array.from({ length: rows * vocabulary }, (_, i) => i + 1);
    upload(gpu, gradient, numbers);
    plan.run();
    const counts = new Uint32Array((await download(gpu, lists.counts)).buffer);
    assertEquals([...counts], kept.map(({ length }) => length));
    const moved = await download(gpu, gradient);
    for (let row = 0; row < rows; row++) {
      const columns = kept[Math.floor(row / BLOCK_ROWS)];
      const filled = Math.min(vocabulary, Math.ceil(columns.length / 32) * 32);
      const expected = Array.from(
        { length: filled },
        (_, i) => i < columns.length ? numbers[row * vocabulary + columns[i]] : 0,
      );
      assertEquals([...moved.subarray(row * vocabulary, row * vocabulary + filled)], expected);
    }
    plan.destroy();
  }
});

interface Inputs {
  readonly hidden: Float32Array<ArrayBuffer>;
  readonly weights: Float32Array<ArrayBuffer>;
  readonly labels: Uint32Array<ArrayBuffer>;
  readonly lossWeights: Float32Array<ArrayBuffer>;
}

async function hiddenGradient(
  { tokens, vocabulary, width, maxBindingBytes }: Shape,
  { hidden, weights, labels, lossWeights }: Inputs,
  gradient: HeadGradient,
  mixed: boolean,
): Promise<Float32Array> {
  const limits = maxBindingBytes ? { maxBindingBytes } : {};
  const graph = new Graph({ ...gpu.capabilities, ...limits }, { training: true, mixed });
  const type = mixed ? "f16" : "f32";
  const inputs = {
    hidden: graph.input("hidden", [tokens, width], type),
    labels: graph.input("labels", [tokens], "u32"),
    lossWeights: graph.input("loss weights", [tokens]),
  };
  const table = persistent("weights", "head", [vocabulary, width], type);
  const kept = graph.output("gradient of hidden", [tokens, width]);
  graph.onBackward(
    inputs.hidden,
    (gradient) =>
      graph.elementwise(
        "copy",
        gradient.size,
        { gradient: read(gradient), kept: write(kept) },
        "kept[i] = f32(gradient[i]);",
      ),
  );
  head(inputs.hidden, { weight: table }, inputs.labels, inputs.lossWeights, gradient);
  graph.backward();
  await allocate(gpu, [table.storage]);
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, inputs.hidden, mixed ? Float16Array.from(hidden) : hidden);
  upload(gpu, table, mixed ? Float16Array.from(weights) : weights);
  upload(gpu, inputs.labels, labels);
  upload(gpu, inputs.lossWeights, lossWeights);
  plan.run();
  const result = await download(gpu, kept);
  plan.destroy();
  table.storage.buffer!.destroy();
  return result;
}

/** Both gradients in float64, and the probability that is left out of each row. */
function reference(
  { tokens, vocabulary, width }: Shape,
  { hidden, weights, labels, lossWeights }: Inputs,
) {
  const whole = new Float64Array(tokens * width);
  const filtered = new Float64Array(tokens * width);
  const leftOut = new Float64Array(tokens);
  for (let first = 0; first < tokens; first += BLOCK_ROWS) {
    const stays = new Set<number>();
    const rows = Array.from(labels.subarray(first, first + BLOCK_ROWS), (label, i) => ({
      label,
      row: first + i,
    })).filter(({ label }) => label !== IGNORED);
    const block = rows.map(({ label, row }) => {
      const logits = Array.from({ length: vocabulary }, (_, token) => {
        let sum = 0;
        for (let d = 0; d < width; d++) sum += hidden[row * width + d] * weights[token * width + d];
        return sum;
      });
      const highest = logits.reduce((a, b) => Math.max(a, b));
      const sum = logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
      const probabilities = logits.map((logit) => Math.exp(logit - highest) / sum);
      stays.add(label);
      probabilities.forEach((p, token) => p > LEFT_OUT / vocabulary && stays.add(token));
      return { label, row, probabilities };
    });
    for (const { label, row, probabilities } of block) {
      probabilities.forEach((p, token) => {
        const slope = lossWeights[row] * (p - Number(token === label));
        if (!stays.has(token)) leftOut[row] += p;
        for (let d = 0; d < width; d++) {
          const part = slope * weights[token * width + d];
          whole[row * width + d] += part;
          if (stays.has(token)) filtered[row * width + d] += part;
        }
      });
    }
  }
  return { whole, filtered, leftOut };
}
