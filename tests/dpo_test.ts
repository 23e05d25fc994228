/** Losses over pairs of answers: their values, what they report, and their gradients. */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { PreferenceLoss } from "../kernels/loss/preference-loss.ts";
import { download, upload } from "../kernels/runtime/transfer.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { parseConfig } from "../model/network/config.ts";
import { Parameters } from "../model/network/parameters.ts";
import { type Item, packed, padded } from "../train/batches/example-batches.ts";
import { NextTokenObjective } from "../train/step/objective.ts";
import { PreferenceObjective } from "../train/step/preference-objective.ts";
import { SequenceScorer } from "../train/step/sequence-scorer.ts";
import { TrainingStep } from "../train/step/training-step.ts";
import { cosine, gradients } from "./gradients.ts";
import { gpu, precisions } from "./kernels/harness.ts";
import { openSafetensors } from "../model/host/open-checkpoint.ts";

const ADAMW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1e9 };
const SIGMOID: PreferenceLoss = {
  kind: "sigmoid",
  beta: 0.1,
  labelSmoothing: 0,
  gamma: 0.5,
  sftWeight: 0,
  ipoMeans: true,
};
/** Every loss, far enough from its kinks for a difference quotient. */
const LOSSES: PreferenceLoss[] = [
  SIGMOID,
  { ...SIGMOID, labelSmoothing: 0.1 },
  { ...SIGMOID, kind: "hinge" },
  { ...SIGMOID, kind: "ipo" },
  { ...SIGMOID, kind: "ipo", ipoMeans: false },
  { ...SIGMOID, kind: "orpo" },
  { ...SIGMOID, kind: "simpo", beta: 2 },
  { ...SIGMOID, sftWeight: 0.3 },
];

interface Golden {
  input_ids: number[][];
  labels: number[][];
  dpo: {
    reference: number[];
    sigmoid: number[];
    ipo: number[];
    sigmoid_smoothing_0_1: number[];
    chosen_rewards: number[];
    rejected_rewards: number[];
  };
}

/** One of the small models in `golden/` on the GPU, with what its file says of it. */
async function openGolden(
  name: string,
  mixed = false,
): Promise<{ golden: Golden; parameters: Parameters }> {
  const path = (suffix: string) => new URL(`golden/${name}${suffix}`, import.meta.url).pathname;
  const golden = JSON.parse(await Deno.readTextFile(path(".json")));
  const parameters = new Parameters(parseConfig(golden.config, path(".json")), mixed);
  const weights = await openSafetensors(path("-weights.safetensors"));
  await parameters.load(gpu, ({ name }) => weights.readFloat32(name));
  weights.close();
  return { golden, parameters };
}

/** The pairs of a golden: rows 0, 2, … are chosen, 1, 3, … rejected. */
function pairsOf({ input_ids: ids, labels, dpo }: Golden): Item[] {
  return Array.from(
    { length: ids.length / 2 },
    (_, pair) =>
      [2 * pair, 2 * pair + 1].map((row) => ({
        inputs: ids[row],
        labels: labels[row],
        reference: dpo.reference[row],
      })),
  );
}

function planStep(parameters: Parameters, loss: PreferenceLoss) {
  const room = { tokens: 192, sequences: 6 };
  const objective = new PreferenceObjective(loss);
  return TrainingStep.plan(gpu, parameters, { ...ADAMW, ...room, objective });
}

for (const name of ["steel-tiny", "steel-gqa", "dense-swiglu"]) {
  Deno.test(`${name} gives PyTorch's losses and rewards`, async () => {
    const { golden, parameters } = await openGolden(name);
    const { dpo } = golden;
    const expected: [PreferenceLoss, number[]][] = [
      [SIGMOID, dpo.sigmoid],
      [{ ...SIGMOID, labelSmoothing: 0.1 }, dpo.sigmoid_smoothing_0_1],
      [{ ...SIGMOID, kind: "ipo", ipoMeans: false }, dpo.ipo],
    ];
    for (const [loss, values] of expected) {
      const step = await planStep(parameters, loss);
      for (const [pair, item] of pairsOf(golden).entries()) {
        const report = await step.run(padded([item], 1), 0, 1);
        const { chosenReward, rejectedReward } = report.measures;
        assertAlmostEquals(report.loss, values[pair], 1e-4 * Math.max(1, values[pair]));
        assertAlmostEquals(chosenReward, dpo.chosen_rewards[pair], 1e-4);
        assertAlmostEquals(rejectedReward, dpo.rejected_rewards[pair], 1e-4);
      }
      const mean = values.reduce((sum, value) => sum + value) / values.length;
      const together = await step.run(packed(pairsOf(golden), { tokens: 192, sequences: 6 }), 0, 1);
      assertAlmostEquals(together.loss, mean, 1e-4 * Math.max(1, mean));
      step.destroy();
    }
  });
}

for (const precision of precisions) {
  Deno.test(`against itself in ${precision}: loss ln 2, rewards 0, however laid out`, async () => {
    const { golden, parameters } = await openGolden("steel-gqa", precision === "mixed");
    const room = { tokens: 192, sequences: 6 };
    const scorer = await SequenceScorer.plan(gpu, parameters, room);
    const pairs = pairsOf(golden).map((pair) =>
      pair.map(({ inputs, labels }, i) => ({ inputs: inputs.slice(i), labels: labels.slice(i) }))
    );
    const scores = await scorer.score(pairs);
    const items = pairs.map((pair, p) =>
      pair.map((sequence, i) => ({ ...sequence, reference: scores[p][i].logProb }))
    );
    scorer.destroy();
    const step = await planStep(parameters, SIGMOID);
    // Tensor cores cut a sequence where tiles of the batch end, which moves its last digits.
    const exact = precision === "f32" || !gpu.capabilities.tensorCores;
    for (const layout of [padded(items, 1), padded(items.toReversed(), 2), packed(items, room)]) {
      const { loss, measures } = await step.run(layout, 0, 1);
      assertAlmostEquals(loss, Math.LN2, exact ? 1e-6 : 1e-4);
      const { chosenReward, rejectedReward, margin, accuracy } = measures;
      for (const reward of [chosenReward, rejectedReward, margin]) {
        assertAlmostEquals(reward, 0, exact ? 0 : 1e-4);
      }
      if (exact) assertEquals(accuracy, 0);
    }
    step.destroy();
  });
}

Deno.test({
  name: "in mixed precision, gradients of SFT and DPO point where those of f32 do",
  ignore: !gpu.capabilities.f16,
  fn: async () => {
    for (
      const objective of [() => new NextTokenObjective(), () => new PreferenceObjective(SIGMOID)]
    ) {
      const [single, mixed] = await Promise.all([false, true].map(async (mixed) => {
        const { golden, parameters } = await openGolden("steel-tiny", mixed);
        const room = { tokens: 192, sequences: 6 };
        const options = { ...ADAMW, ...room, objective: objective() };
        const step = await TrainingStep.plan(gpu, parameters, options);
        step.accumulate(packed(pairsOf(golden), room)[0], 1 / 3);
        const gradient = await gradients(gpu, parameters);
        step.destroy();
        return gradient;
      }));
      assert(1 - cosine(mixed, single) <= 1e-3);
    }
  },
});

for (const loss of LOSSES) {
  const { kind, labelSmoothing, sftWeight, ipoMeans } = loss;
  const title = [
    kind,
    kind === "ipo" && !ipoMeans ? "of sums" : "",
    labelSmoothing > 0 ? "smoothed" : "",
    sftWeight > 0 ? "with an SFT term" : "",
  ].filter((word) => word !== "").join(" ");
  Deno.test(`the gradient of ${title} agrees with finite differences`, async () => {
    const { golden, parameters } = await openGolden("steel-tiny");
    const step = await planStep(parameters, loss);
    const batches = padded(pairsOf(golden), 1);
    for (const batch of batches) step.accumulate(batch, 1 / batches.length);
    const gradient = await gradients(gpu, parameters);
    const { gradientNorm: norm, loss: value } = await step.update(0, 1);
    // Along the gradient the loss rises by its norm; a rise of a few hundredths of the loss is well
    // above the rounding of f32, and small enough for the third order not to show.
    const distance = 0.02 * Math.max(1, value) / norm;
    const lossAt = async (by: number) => {
      await moveAlong(parameters, gradient, by / norm);
      const { loss } = await step.run(batches, 0, 1);
      await moveAlong(parameters, gradient, -by / norm);
      return loss;
    };
    const slope = (await lossAt(distance) - await lossAt(-distance)) / (2 * distance);
    console.log(`${title}: norm ${norm.toFixed(4)}, difference quotient ${slope.toFixed(4)}`);
    assert(Math.abs(slope / norm - 1) <= 5e-3);
    step.destroy();
  });
}

/** Adds a multiple of a direction to all parameters. */
async function moveAlong(parameters: Parameters, direction: readonly number[], by: number) {
  let at = 0;
  for (const tensor of parameters.tensors) {
    const values = await download(gpu, tensor);
    upload(gpu, tensor, values.map((value) => value + by * direction[at++]));
  }
}

Deno.test("label smoothing goes with the sigmoid loss only", () => {
  assertThrows(
    () => new PreferenceObjective({ ...SIGMOID, kind: "hinge", labelSmoothing: 0.1 }),
    UserError,
    "only the sigmoid loss has a smoothed form",
  );
});
