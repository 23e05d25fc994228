import { assert, assertEquals } from "@std/assert";
import { adamW, adamWRates, type Trained } from "../../kernels/optimizer/adamw.ts";
import { gradientNorm, REPORT } from "../../kernels/optimizer/gradient-norm.ts";
import { Graph, persistent } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { assertClose, gpu, precisions, randomNumbers } from "./harness.ts";

const options = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05 };

async function optimizer(
  sizes: number[],
  clip: number,
  mixed = false,
  update: Trained["update"] = "applied",
  cpu = gpu.capabilities.cpu,
) {
  const graph = new Graph({ ...gpu.capabilities, cpu });
  const trained = sizes.map((size) => ({
    value: persistent("weights", "value", [size]),
    gradient: persistent("gradients", "gradient", [size]),
    mean: persistent("optimizer", "mean", [size]),
    square: persistent("optimizer", "square", [size]),
    ...(mixed && { half: persistent("weights", "half", [size], "f16") }),
  }));
  const loss = graph.output("loss", [1]);
  const rates = graph.input("rates", [4]);
  const report = gradientNorm(graph, trained.map(({ gradient }) => gradient), loss, rates, clip);
  for (const parameter of trained) adamW(graph, { ...parameter, update }, rates, report, options);
  await allocate(gpu, trained.flatMap((each) => Object.values(each).map(({ storage }) => storage)));
  const plan = await new Draft(graph).build(gpu);
  return { plan, trained, loss, rates, report };
}

for (const cpu of [true, false]) {
  Deno.test(`three AdamW steps with clipping follow PyTorch's formulas, cpu ${cpu}`, async () => {
    // More tensors than one dispatch squares, and some that several workgroups share.
    const sizes = [1, 7, 70_001, 2, 3, 131_080, 5, 6, 8];
    const { plan, trained, rates, report } = await optimizer(sizes, 1, false, "applied", cpu);
    const random = randomNumbers(5);
    const reference = sizes.map((size) => ({
      value: Float64Array.from(random(size)),
      mean: new Float64Array(size),
      square: new Float64Array(size),
    }));
    trained.forEach(({ value }, i) => upload(gpu, value, Float32Array.from(reference[i].value)));
    for (let step = 1; step <= 3; step++) {
      const gradients = sizes.map((size) => random(size).map((x) => x * (step === 2 ? 1e-4 : 1)));
      trained.forEach(({ gradient }, i) => upload(gpu, gradient, gradients[i]));
      upload(gpu, rates, adamWRates(0.01 / step, step, options));
      plan.run();
      const norm = Math.sqrt(gradients.flatMap((g) => [...g]).reduce((sum, g) => sum + g * g, 0));
      const scale = Math.min(1, 1 / (norm + 1e-6));
      reference.forEach(({ value, mean, square }, p) => {
        value.forEach((_, i) => {
          const g = gradients[p][i] * scale;
          value[i] *= 1 - 0.01 / step * 0.05;
          mean[i] = 0.9 * mean[i] + 0.1 * g;
          square[i] = 0.95 * square[i] + 0.05 * g * g;
          value[i] -= 0.01 / step / (1 - 0.9 ** step) * mean[i] /
            (Math.sqrt(square[i] / (1 - 0.95 ** step)) + 1e-8);
        });
      });
      const printed = await download(gpu, report);
      assertClose("norm", [printed[REPORT.gradientNorm]], [norm]);
      assertClose("scale", [printed[REPORT.scale]], [scale]);
    }
    for (const [i, { value, gradient }] of trained.entries()) {
      assertClose("value", await download(gpu, value), reference[i].value);
      assertEquals(await download(gpu, gradient), new Float32Array(sizes[i]));
    }
  });
}

for (const bad of [NaN, Infinity, 1e30]) {
  Deno.test(`a gradient of ${bad} is reported and changes nothing`, async () => {
    const { plan, trained: [{ value, gradient, mean }], rates, report } = await optimizer([5], 1);
    upload(gpu, value, new Float32Array([1, 2, 3, 4, 5]));
    upload(gpu, gradient, new Float32Array([0, bad, 0, 1, 0]));
    upload(gpu, rates, adamWRates(0.1, 1, options));
    plan.run();
    assertEquals((await download(gpu, report))[REPORT.finite], 0);
    assertEquals(await download(gpu, value), new Float32Array([1, 2, 3, 4, 5]));
    assertEquals(await download(gpu, mean), new Float32Array(5));
  });
}

for (const precision of precisions) {
  Deno.test(`weights that an update makes too large for ${precision} are reported`, async () => {
    for (const size of [7, 8]) {
      const { plan, trained: [{ value, gradient }], rates, report } = await optimizer(
        [size],
        1,
        precision === "mixed",
      );
      const most = precision === "mixed" ? 65504 : 3.4e38;
      const isReported = async (learningRate: number) => {
        upload(gpu, value, new Float32Array(size));
        upload(gpu, gradient, new Float32Array(size).fill(1, size - 1));
        upload(gpu, rates, adamWRates(learningRate, 1, options));
        plan.run();
        const printed = await download(gpu, report);
        assertEquals(printed[REPORT.finite], 1);
        return printed[REPORT.weightsFinite] === 0;
      };
      assertEquals([await isReported(0.1 * most), await isReported(2 * most)], [false, true]);
    }
  });
}

Deno.test("an update that is left in the gradient is what would be applied, or nothing if it is not finite", async () => {
  const mixed = precisions.length > 1;
  for (const size of [7, 256]) {
    const random = randomNumbers(size);
    const [weights, slopes] = [random(size), random(size)];
    const runs = await Promise.all((["applied", "left"] as const).map(async (update) => {
      const made = await optimizer([size], 1, mixed, update);
      const { plan, trained: [{ value, half, gradient, mean }], rates, report } = made;
      upload(gpu, value, weights);
      if (half) upload(gpu, half, new Float16Array(size).fill(7));
      upload(gpu, rates, adamWRates(0.1, 1, options));
      const step = async (gradients: Float32Array<ArrayBuffer>) => {
        upload(gpu, gradient, gradients);
        plan.run();
        const halves = half && await download(gpu, half, 0, Math.ceil(size / 2));
        return {
          value: await download(gpu, value),
          half: halves && new Float16Array(halves.buffer, 0, size),
          gradient: await download(gpu, gradient),
          mean: await download(gpu, mean),
          report: await download(gpu, report),
        };
      };
      return [await step(slopes), await step(slopes.slice().fill(NaN, 3, 4))];
    }));
    const [[applied], [left, skipped]] = runs;
    const updates = applied.value.map((weight, i) => weight - weights[i]);
    assertEquals(left, { ...applied, value: weights, half: left.half, gradient: updates });
    assert(left.half?.every((weight) => weight === 7) ?? true, "the copy in f16 is not written");
    assertEquals(skipped.gradient, new Float32Array(size));
    assertEquals([skipped.value, skipped.mean], [weights, applied.mean]);
  }
});
