/**
 * Fine-tuning on micro-batches: however examples are laid out, each trains exactly as it would
 * alone.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../kernels/runtime/user-error.ts";
import {
  ExampleBatches,
  type Item,
  packed,
  padded,
  requireSameItems,
  tokensOf,
} from "../train/batches/example-batches.ts";
import { digestOf } from "../train/batches/examples-digest.ts";
import type { MicroBatch } from "../train/step/micro-batch.ts";
import { roomFor } from "../train/batches/micro-batch-room.ts";
import { SequenceScorer } from "../train/step/sequence-scorer.ts";
import { sequenceOf, unseenAnswerItem } from "../train/batches/sequences.ts";
import { TrainingStep } from "../train/step/training-step.ts";
import { gradients } from "./gradients.ts";
import { relativeError } from "./kernels/harness.ts";
import { goldenModel, gpu } from "./model/golden-model.ts";

/** Of the norm: sums over tokens are taken in another order, and nothing else differs. */
const ROUNDING = 2e-6;
const ADAMW = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 1 };
const LENGTHS = [9, 23, 4, 14, 23, 1, 17, 11];

/** Eight examples of the golden's tokens, the first third of each a prompt. */
function examplesOf(ids: number[][]): Item[] {
  return LENGTHS.map((length, index) => {
    const tokens = ids[index % ids.length].slice(0, length + 1);
    return [sequenceOf({ ids: tokens, labels: tokens.with(0, -100).fill(-100, 0, length / 3) })];
  });
}

for (const name of ["steel-tiny", "dense-swiglu"] as const) {
  Deno.test(`${name}: packed, padded and alone are the same to every example`, async () => {
    const { model, parameters, inputIds } = await goldenModel(name);
    const items = examplesOf(inputIds);
    const [alone, together] = [[], []] as number[][];
    const all = items.flat();
    for (const { inputs, labels } of all) {
      alone.push(...(await model.logProbs([[...inputs]], [[...labels]]))[0]);
    }
    const rows = all.map(({ inputs, labels }) => ({ ids: [...inputs], labels: [...labels] }));
    const logProbs = await model.logProbs(rows.map(({ ids }) => ids), rows.map((r) => r.labels));
    together.push(...logProbs.flat());
    const worst = Math.max(...alone.map((logProb, i) => Math.abs(logProb - together[i])));
    console.log(`${name}: log-probabilities differ by ${worst.toExponential(1)} at most`);
    assert(worst <= 1e-5);

    const room = { tokens: 128, sequences: 8 };
    const scorer = await SequenceScorer.plan(gpu, parameters, room);
    const inOrder = await scorer.score(items);
    const reversed = (await scorer.score(items.toReversed())).toReversed();
    assertEquals(reversed, inOrder, "the same bits wherever in a micro-batch an example lies");
    scorer.destroy();

    const step = await TrainingStep.plan(gpu, parameters, { ...ADAMW, ...room });
    const layouts: Record<string, MicroBatch[]> = {
      alone: padded(items, 1),
      "padded, 4 × 2": padded(items, 2),
      "padded, 1 × 8": padded(items, 8),
      packed: packed(items, { tokens: 40, sequences: 8 }),
    };
    const results = [];
    for (const layout of Object.values(layouts)) {
      const targets = items.flat().flatMap(({ labels }) => labels.filter((l) => l !== -100)).length;
      for (const microBatch of layout) step.accumulate(microBatch, 1 / targets);
      const gradient = await gradients(gpu, parameters);
      const { loss } = await step.update(0, 1);
      results.push({ gradient, loss });
    }
    for (const [index, layout] of Object.keys(layouts).entries()) {
      const error = relativeError(results[index].gradient, results[0].gradient);
      assert(error <= ROUNDING, `gradient, ${layout}: off by ${error.toExponential(1)}`);
      assert(Math.abs(results[index].loss - results[0].loss) <= 1e-6);
    }

    const masked = items.map(([{ inputs }]) => [{ inputs, labels: inputs.map(() => -100) }]);
    const report = await step.run(padded(masked, 8), 0, 2);
    assertEquals([report.loss, report.gradientNorm, report.finite], [0, 0, true]);
    for (const microBatch of [...padded(items, 8), ...padded(masked, 8)]) {
      step.accumulate(microBatch, 1);
    }
    const withMasked = await gradients(gpu, parameters);
    await step.update(0, 3);
    step.accumulate(padded(items, 8)[0], 1);
    assertEquals(withMasked, await gradients(gpu, parameters), "a masked batch adds nothing");
    step.destroy();
  });
}

Deno.test("first-fit packs what fits, keeps what belongs together and loses nothing", () => {
  const item = (...lengths: number[]): Item =>
    lengths.map((length) => ({ inputs: new Array(length).fill(length), labels: [] }));
  const items = [item(5), item(4, 4), item(3), item(2), item(9), item(1, 1)];
  const lengths = packed(items, { tokens: 10, sequences: 3 })
    .map(({ inputs }) => inputs.map(({ length }) => length));
  assertEquals(lengths, [[5, 3, 2], [4, 4], [9], [1, 1]]);
  assertEquals(
    lengths.flat().reduce((sum, n) => sum + n),
    items.reduce((s, i) => s + tokensOf(i), 0),
  );
});

Deno.test("a micro-batch has no more rows than a step's examples fill evenly", () => {
  const items: Item[] = Array.from({ length: 40 }, () => [
    { inputs: new Array(100).fill(1), labels: new Array(100).fill(1) },
  ]);
  const layout = { batch: 10, microBatch: 9, packing: true };
  // Nine of ten fit into 900 rows; two micro-batches of five are the same work in fewer rows.
  const { tokens, longest } = roomFor(items, layout, 1);
  assertEquals([tokens, longest], [512, 100]);
  assertEquals(roomFor(items, { ...layout, packing: false }, 1).tokens, 960);
  const few = { batch: 1, microBatch: 8 };
  for (const packing of [true, false]) {
    assertEquals(
      roomFor(items, { ...few, packing }, 1).tokens,
      128,
      "none for other steps' examples",
    );
  }
});

Deno.test("every example comes once an epoch, and a saved position goes on there", () => {
  const items: Item[] = Array.from({ length: 7 }, (_, i) => [{ inputs: [i], labels: [i] }]);
  const batches = () => new ExampleBatches(items, digestOf(items), 3, 1, (step) => padded(step, 3));
  const idsOf = (step: MicroBatch[]) => step.flatMap(({ inputs }) => inputs.map((ids) => ids[0]));
  const source = batches();
  const steps = Array.from({ length: 6 }, () => idsOf(source.next()));
  assertEquals(steps.map(({ length }) => length), [3, 3, 1, 3, 3, 1]);
  assertEquals(steps.slice(0, 3).flat().toSorted(), [0, 1, 2, 3, 4, 5, 6]);
  assert(String(steps.slice(0, 3)) !== String(steps.slice(3)), "another order in the next epoch");
  const stopped = batches();
  for (let step = 0; step < 4; step++) stopped.next();
  const resumed = batches();
  resumed.seek(JSON.parse(JSON.stringify(stopped.position())));
  assertEquals(idsOf(resumed.next()), steps[4]);
  requireSameItems(stopped.position(), digestOf(items));
  for (const changed of [{ inputs: [9], labels: [3] }, { inputs: [3], labels: [9] }]) {
    const digest = digestOf(items.with(3, [changed]));
    assertThrows(() => requireSameItems(stopped.position(), digest), UserError, "other examples");
  }
});

Deno.test("with unseen answers, the first token of an answer is learnt from the prompt alone", () => {
  const example = { ids: [1, 2, 3, 7, 8, 9], labels: [-100, -100, -100, 7, 8, 9] };
  assertEquals(unseenAnswerItem(example), [
    { inputs: [1, 2, 3], labels: [-100, -100, 7] },
    { inputs: [1, 2, 3, 7, 8, 9], labels: [-100, -100, -100, 8, 9, -100] },
  ]);
  const short = { ids: [1, 2, 7], labels: [-100, -100, 7] };
  assertEquals(unseenAnswerItem(short), [{ inputs: [1, 2], labels: [-100, 7] }]);
});
