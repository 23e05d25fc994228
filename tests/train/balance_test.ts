/** The loss that keeps experts evenly used, in micro-batches of all kinds. */
import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../model/host/load-model.ts";
import { type StepOptions, TrainingStep } from "../../train/step/training-step.ts";
import { gradients } from "../gradients.ts";
import { gpu, relativeError } from "../kernels/harness.ts";

const DIR = new URL("../golden/peers/qwen2-moe", import.meta.url).pathname;
const golden = JSON.parse(await Deno.readTextFile(`${DIR}/expected.json`));
const [inputs, labels]: number[][][] = [golden.input_ids, golden.labels];
const targets = labels.flat().filter((label) => label !== -100).length;

/** The gradients of a step's micro-batches, and what it reports. */
async function stepOver(places: number[][], change: Partial<StepOptions>) {
  const model = await loadModel(DIR, { gpu, precision: "f32" });
  const adamW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1 };
  const room = { tokens: 63, sequences: 3 };
  const step = await TrainingStep.plan(gpu, model.parameters, { ...adamW, ...room, ...change });
  const of = (all: number[][], some: number[]) => some.map((place) => all[place]);
  for (const some of places) {
    step.accumulate({ inputs: of(inputs, some), labels: of(labels, some) }, 1 / targets);
  }
  const result = { gradients: await gradients(gpu, model.parameters) };
  const { measures } = await step.update(1e-3, 1);
  step.destroy();
  model.close();
  return { ...result, balance: measures.balance };
}

Deno.test("the balance is transformers', whatever the padding; recomputing changes no bit", async () => {
  const whole = await stepOver([[0, 1, 2]], {});
  assert(Math.abs(whole.balance / golden.aux_losses[0] - 1) < 1e-6, `${whole.balance}`);
  const padded = await stepOver([[0, 1, 2]], { tokens: 80, sequences: 5 });
  assert(Math.abs(padded.balance / whole.balance - 1) < 1e-6);
  assert(relativeError(padded.gradients, whole.gradients) < 1e-5);
  const recomputed = await stepOver([[0, 1, 2]], { recompute: true });
  assertEquals(recomputed.gradients, whole.gradients);
});

Deno.test("each micro-batch has the part in the balance that it has in the targets", async () => {
  const alone = [];
  for (const place of [0, 1, 2]) alone.push((await stepOver([[place]], {})).balance);
  const shares = labels.map((of) => of.filter((label) => label !== -100).length / targets);
  // A third of the tokens uses experts about as evenly as all of them.
  alone.forEach((balance, i) => assert(Math.abs(balance / shares[i] - 2) < 0.5, `${balance}`));
  const together = (await stepOver([[0], [1], [2]], {})).balance;
  assert(Math.abs(together / alone.reduce((sum, balance) => sum + balance) - 1) < 1e-6);
});
