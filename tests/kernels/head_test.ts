import { assertEquals } from "@std/assert";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { addLoss, head, IGNORED } from "../../kernels/loss/head.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { assertClose, gpu, randomNumbers } from "./harness.ts";

const cases = [
  { tokens: 1, vocabulary: 1, width: 1 },
  { tokens: 7, vocabulary: 13, width: 6 },
  // Whole vectors of logits, and a binding limit that forces two chunks.
  { tokens: 150, vocabulary: 20, width: 5, maxBindingBytes: 128 * 20 * 4 },
];

for (const { tokens, vocabulary, width, maxBindingBytes } of cases) {
  Deno.test(`head of ${tokens} rows, ${vocabulary} tokens, width ${width}`, async () => {
    const random = randomNumbers(3);
    const hidden = random(tokens * width);
    const weights = random(vocabulary * width);
    const labels = Uint32Array.from(
      { length: tokens },
      (_, row) => row % 5 === 3 ? IGNORED : (row * 7) % vocabulary,
    );
    const lossWeights = Float32Array.from(
      labels,
      (label, row) => label === IGNORED ? 0 : 0.1 + row % 3,
    );

    for (const cpu of [true, false]) {
      const limits = maxBindingBytes ? { maxBindingBytes } : {};
      const graph = new Graph({ ...gpu.capabilities, cpu, ...limits }, { training: true });
      const inputs = {
        hidden: graph.input("hidden", [tokens, width]),
        labels: graph.input("labels", [tokens], "u32"),
        lossWeights: graph.input("loss weights", [tokens]),
      };
      const table = persistent("weights", "head", [vocabulary, width]);
      table.gradient = persistent("gradients", "head.gradient", [vocabulary, width]);
      const kept = graph.output("gradient of hidden", [tokens, width]);
      graph.onBackward(
        inputs.hidden,
        (gradient) =>
          graph.elementwise(
            "copy",
            gradient.size,
            { gradient: read(gradient), kept: write(kept) },
            "kept[i] = gradient[i];",
          ),
      );
      const loss = graph.output("loss", [1]);
      const logProbs = head(inputs.hidden, { weight: table }, inputs.labels, inputs.lossWeights);
      addLoss(logProbs, inputs.lossWeights, loss);
      graph.backward();
      await allocate(gpu, [table.storage, table.gradient.storage]);
      const plan = await new Draft(graph).build(gpu);
      upload(gpu, inputs.hidden, hidden);
      upload(gpu, inputs.labels, labels);
      upload(gpu, inputs.lossWeights, lossWeights);
      upload(gpu, table, weights);
      plan.run();

      const expected = headReference(hidden, weights, labels, lossWeights, vocabulary);
      assertClose("loss", await download(gpu, loss), expected.loss);
      assertClose("gradient of hidden", await download(gpu, kept), expected.dhidden, 2e-5);
      assertClose(
        "gradient of weight",
        await download(gpu, table.gradient),
        expected.dweight,
        2e-5,
      );
      plan.destroy();
    }
  });
}

Deno.test("the reference's gradients are its loss's central differences", () => {
  const [tokens, vocabulary, width] = [5, 7, 3];
  const random = randomNumbers(4);
  const hidden = Float64Array.from(random(tokens * width));
  const weights = Float64Array.from(random(vocabulary * width));
  const labels = new Uint32Array([1, 6, IGNORED, 0, 6]);
  const lossWeights = new Float32Array([0.5, 1, 0, 2, 0.25]);
  const reference = () => headReference(hidden, weights, labels, lossWeights, vocabulary);
  const { dhidden, dweight } = reference();
  for (const [array, gradient] of [[hidden, dhidden], [weights, dweight]]) {
    const differences = array.map((value, i) => {
      const losses = [1e-5, -1e-5].map((step) => {
        array[i] = value + step;
        return reference().loss[0];
      });
      array[i] = value;
      return (losses[0] - losses[1]) / 2e-5;
    });
    assertClose("gradient", gradient, differences, 1e-8);
  }
});

Deno.test("a bias of the head is a column of weights for a hidden number of 1", async () => {
  const [tokens, vocabulary, width] = [7, 13, 6];
  const random = randomNumbers(3);
  const hidden = random(tokens * width).map((value, i) => i % width === width - 1 ? 1 : value);
  const weights = random(vocabulary * width);
  const labels = Uint32Array.from({ length: tokens }, (_, row) => (row * 5) % vocabulary);
  const lossWeights = Float32Array.from(labels, (_, row) => 0.1 + row % 3);
  const columns = (values: ArrayLike<number>, first: number, end: number) =>
    Float32Array.from(
      Array.from(values).filter((_, i) => i % width >= first && i % width < end),
    );
  const narrow = width - 1;

  const graph = new Graph(gpu.capabilities, { training: true });
  const inputs = {
    hidden: graph.input("hidden", [tokens, narrow]),
    labels: graph.input("labels", [tokens], "u32"),
    lossWeights: graph.input("loss weights", [tokens]),
  };
  const parameters = {
    weight: persistent("weights", "head", [vocabulary, narrow]),
    bias: persistent("weights", "bias", [vocabulary]),
  };
  for (const tensor of Object.values(parameters)) {
    tensor.gradient = persistent("gradients", `${tensor.name}.gradient`, tensor.shape);
  }
  const loss = graph.output("loss", [1]);
  const logProbs = head(inputs.hidden, parameters, inputs.labels, inputs.lossWeights);
  addLoss(logProbs, inputs.lossWeights, loss);
  graph.backward();
  const tensors = Object.values(parameters);
  await allocate(gpu, tensors.flatMap(({ storage, gradient }) => [storage, gradient!.storage]));
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, inputs.hidden, columns(hidden, 0, narrow));
  upload(gpu, inputs.labels, labels);
  upload(gpu, inputs.lossWeights, lossWeights);
  upload(gpu, parameters.weight, columns(weights, 0, narrow));
  upload(gpu, parameters.bias, columns(weights, narrow, width));
  plan.run();

  const expected = headReference(hidden, weights, labels, lossWeights, vocabulary);
  assertClose("loss", await download(gpu, loss), expected.loss);
  const gradientOf = (tensor: Tensor) => download(gpu, tensor.gradient!);
  const { dweight } = expected;
  assertClose("weight", await gradientOf(parameters.weight), columns(dweight, 0, narrow));
  assertClose("bias", await gradientOf(parameters.bias), columns(dweight, narrow, width));
  plan.destroy();
});

Deno.test("rows without a label have log-probability 0", async () => {
  const graph = new Graph(gpu.capabilities);
  const hidden = graph.input("hidden", [2, 3]);
  const labels = graph.input("labels", [2], "u32");
  const table = persistent("weights", "head", [4, 3]);
  const logProbs = head(hidden, { weight: table }, labels);
  const kept = graph.output("kept", [2]);
  graph.elementwise(
    "copy",
    2,
    { logProbs: read(logProbs), kept: write(kept) },
    "kept[i] = logProbs[i];",
  );
  const plan = await new Draft(graph).build(gpu);
  upload(gpu, labels, new Uint32Array([IGNORED, 2]));
  plan.run();
  const result = await download(gpu, kept);
  assertEquals(result[0], 0);
  assertClose("log-probability among four equal ones", [result[1]], [Math.log(1 / 4)]);
});

function headReference(
  hidden: Float32Array | Float64Array,
  weights: Float32Array | Float64Array,
  labels: Uint32Array,
  lossWeights: Float32Array,
  vocabulary: number,
) {
  const width = weights.length / vocabulary;
  const dhidden = new Float64Array(hidden.length);
  const dweight = new Float64Array(weights.length);
  let loss = 0;
  labels.forEach((label, row) => {
    if (label === IGNORED) return;
    const logits = Array.from({ length: vocabulary }, (_, token) => {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += hidden[row * width + d] * weights[token * width + d];
      return sum;
    });
    const highest = Math.max(...logits);
    const normalizer = highest +
      Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
    loss -= lossWeights[row] * (logits[label] - normalizer);
    logits.forEach((logit, token) => {
      const slope = lossWeights[row] * (Math.exp(logit - normalizer) - Number(token === label));
      for (let d = 0; d < width; d++) {
        dhidden[row * width + d] += slope * weights[token * width + d];
        dweight[token * width + d] += slope * hidden[row * width + d];
      }
    });
  });
  return { loss: [loss], dhidden, dweight };
}
