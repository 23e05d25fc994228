/**
 * Runs of training, one after the other, by as many ranks as mpirun has started of this program:
 *
 *     mpirun -np 2 deno run -A tests/train/ranks-program.ts '[{"name":"f32","dir":"run"}]'
 *
 * The first rank writes a line for each run. SIGTERM stops a run in order.
 */
import { createHash } from "node:crypto";
import { ShuffledBlocks, type ShuffledPosition } from "../../data/blocks.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { type Communicator, RanksFailed } from "../../kernels/ranks/communicator.ts";
import { connectRanks } from "../../kernels/ranks/connect.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { parseConfig } from "../../model/network/config.ts";
import { initialValues } from "../../model/network/initialization.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { BlockBatches, microBatchesOfBlocks } from "../../train/batches/block-batches.ts";
import { ExampleBatches, type Item, packed } from "../../train/batches/example-batches.ts";
import { runStage } from "../../train/run/run-stage.ts";
import type { StageSettings, TrainingStage } from "../../train/run/stage.ts";
import { findRun } from "../../train/checkpoint/training-checkpoint.ts";
import { NextTokenObjective } from "../../train/step/objective.ts";
import { PreferenceObjective } from "../../train/step/preference-objective.ts";

/** A run of a stage in a folder. */
export interface RankedRun {
  readonly name: "f32" | "mixed" | "recompute" | "sft" | "dpo";
  readonly dir: string;
  readonly training?: Partial<StageSettings>;
}

/** What a run was: of each step number, loss, gradient norm and what else was measured. */
export interface RunRecord {
  readonly isComplete: boolean;
  readonly steps: number[][];
  readonly validations: number[][];
}

const VOCABULARY = 128;
const TRAINING: StageSettings = {
  ...{ steps: 30, warmupSteps: 3, learningRate: 2e-3, minimumLearningRate: 0 },
  ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, clip: 1 },
  ...{ validateEvery: 10, checkpointEvery: 10, keepCheckpoints: 9 },
};

/** Runs a stage, from its newest checkpoint on if there is one, and records what this call does. */
export async function record(
  gpu: Gpu,
  run: RankedRun,
  ranks?: Communicator,
  signal?: AbortSignal,
): Promise<RunRecord> {
  const [steps, validations]: number[][][] = [[], []];
  const { isComplete } = await runStage(await stageOf(gpu, run), {
    ranks,
    signal,
    onStep: ({ step, loss, gradientNorm, measures }) =>
      steps.push([step, loss, gradientNorm, ...Object.values(measures)]),
    onValidation: (step, measures) => validations.push([step, ...Object.values(measures)]),
  });
  return { isComplete, steps, validations };
}

/** The stage of a run. */
export async function stageOf(
  gpu: Gpu,
  { name, dir, training }: RankedRun,
): Promise<TrainingStage> {
  const begun = await findRun(dir);
  const parameters = new Parameters(
    parseConfig({
      ...{ vocab_size: VOCABULARY, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 2 },
      ...{ num_attention_heads: 2, FFN_type: "softmoe_v3", mlp_type: "senet", n_experts: 2 },
      ...{ mlp_div_ratio: 1, max_position_embeddings: 64 },
    }, "the test's model"),
    name === "mixed",
  );
  const common = {
    ...{ name, dir, begun, gpu, parameters },
    initialWeights: (part: Parameters["parts"][number], index: number) =>
      initialValues(part, 1, index),
    training: { ...TRAINING, recompute: name === "recompute", ...training },
  };
  if (name === "sft" || name === "dpo") {
    const items = itemsOf(name === "dpo" ? 2 : 1);
    const room = { tokens: 60, sequences: 12, longest: 20 };
    const source = new ExampleBatches(items, "digest", 12, 1, (step) => packed(step, room));
    if (begun) source.seek(begun.state.position);
    const objective = () =>
      name === "sft" ? new NextTokenObjective() : new PreferenceObjective({
        ...{ kind: "sigmoid", beta: 0.1, labelSmoothing: 0, gamma: 0.5, sftWeight: 0 },
        ...{ ipoMeans: true },
      });
    return { ...common, source, room, objective, heldOut: packed(items.slice(0, 9), room) };
  }
  const blocks = Array.from({ length: 200 }, (_, i) => sequence(i, 17));
  const source = new ShuffledBlocks(
    blocks.slice(5),
    1,
    createHash("sha256").update(String(blocks)).digest("hex"),
  );
  if (begun) source.seek(begun.state.position as ShuffledPosition);
  return {
    ...common,
    // Not as many for each of 4 ranks.
    source: new BlockBatches(source, 1, 6),
    room: { tokens: 16, sequences: 1 },
    objective: () => new NextTokenObjective(),
    heldOut: microBatchesOfBlocks(blocks.slice(0, 5), 1),
  };
}

/** Items of so many sequences; what comes before the labels is a prompt. */
function itemsOf(sequences: number): Item[] {
  return Array.from({ length: 50 }, (_, item) =>
    Array.from({ length: sequences }, (_, i) => {
      const length = 5 + (7 * item + 3 * i) % 15;
      const inputs = [...sequence(2 * item + i, length)];
      const labels = [...inputs.slice(1).fill(-100, 0, 2), -100];
      return { inputs, labels, reference: -4.5 * (length - 3) };
    }));
}

function sequence(seed: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => (seed * 17 + i * i * 5 + seed * i) % VOCABULARY);
}

if (import.meta.main) {
  const stop = new AbortController();
  const ranks = await connectRanks({ handlesTermination: () => true });
  Deno.addSignalListener("SIGTERM", () => stop.abort());
  try {
    const gpu = await openGpu();
    for (const run of JSON.parse(Deno.args[0])) {
      const recorded = await record(gpu, run, ranks, stop.signal);
      if (ranks.rank === 0) console.log(JSON.stringify(recorded));
    }
    await ranks.close();
    Deno.exit(0);
  } catch (error) {
    if (!(error instanceof RanksFailed)) await ranks.fail(String((error as Error).stack));
    Deno.exit(1);
  }
}
