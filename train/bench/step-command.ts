/** `deno task bench:step`: how fast training steps are with operators fused or not. */
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { next } from "../../kernels/host/next-command.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { aloneOn } from "../../kernels/ranks/communicator.ts";
import { gpusToShareOut } from "../../kernels/ranks/enter.ts";
import { describeMemory, TooLittleMemory, totalBytes } from "../../kernels/runtime/memory.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { makeFolder } from "../../data/files/make-folder.ts";
import { runOnGpus, takeGpus } from "../../model/command-line/run-on-gpus.ts";
import { programVersion } from "../../model/host/program-version.ts";
import { writeStepSpeed } from "../../model/host/step-speed.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { isMixed } from "../../model/network/precision.ts";
import { loadStepSettings } from "../settings/step-settings.ts";
import { benchmarkModel, randomWeights } from "./benchmark-model.ts";
import { memoryOfStep, planStep, randomMicroBatches, timeSteps } from "./step-benchmark.ts";
import { objectiveOf, unfusedModel } from "./unfused-model.ts";

const HELP =
  `Times whole training steps of one kind: with single operators or with elementary ones in their
place, as in Table 2 of Steel-LLM's paper. deno task experiment fused does so for every row.

Usage:
  deno task bench:step [--step.KEY=VALUE ...] [--gpus N]

Example:
  deno task bench:step --step.model=steel-1b --step.microBatch=8 --step.sequence=2048 \\
    --step.unfused=attention --step.unfused=norm

Options, with defaults in brackets:
  --step.model NAME        sizes of the model: small or steel-1b [small]
  --step.unfused NAME      an operator that is made of elementary ones: attention, rope, norm or
                           loss; may be repeated [none]
  --step.recompute BOOL    compute each layer's activations again in the backward pass [false]
  --step.precision NAME    auto, f32 or mixed; auto takes mixed on a GPU with f16 [auto]
  --step.microBatch N      sequences that are computed together [2]
  --step.sequence N        tokens of a sequence [128]
  --step.accumulation N    micro-batches of a step, on each GPU [2]
  --step.steps N           steps that are timed, after a warm-up of four seconds [4]
  --gpus N                 share steps out over N GPUs; where there are fewer, the memory of each
                           is planned and nothing is timed [1]
  --run.dir DIR            folder of the result, speed.json [runs/bench-step]
  --help                   show this text`;

await runOnGpus(async (commandRanks) => {
  const { args, gpus } = takeGpus(commandArguments());
  if (args.includes("--help")) return console.log(HELP);
  const { step, run } = await loadStepSettings(args);
  await commandRanks.onceOnEachHost(installMissingDriver);
  const missing = gpus !== undefined && gpus !== "all" && Number(gpus) > gpusToShareOut().length;
  const ranks = missing
    ? { ...aloneOn(""), size: Number(gpus), hostRanks: Array.from(Array(Number(gpus)).keys()) }
    : await commandRanks.start(gpus);
  const gpu = await openGpu("auto", { hostWrites: !missing && ranks.size > 1 });
  const mixed = isMixed(step.precision, gpu.capabilities);
  const unfused = new Set(step.unfused);
  const { config } = await benchmarkModel(step.model === "small");
  if (step.sequence > config.maxPositions) {
    throw new UserError(
      `step.sequence is ${step.sequence}; expected at most ${config.maxPositions}, the model's longest`,
    );
  }
  const parameters = new Parameters(unfusedModel(config, unfused), mixed);
  const how = { ranks, recompute: step.recompute, objective: objectiveOf(unfused) };
  const memory = memoryOfStep(gpu, parameters, step, how);
  const memoryBytes = totalBytes(memory);
  const device = `${gpu.capabilities.name}, ${mixed ? "mixed" : "f32"}`;
  console.log(`${parameters.summary} on ${device}; ${describeMemory(memory)}`);
  const measured = missing
    ? { notRun: `planned for ${gpus} GPUs; this machine has fewer` }
    : await timed();
  const about = { memoryBytes, device, program: await programVersion() };
  if (ranks.rank === 0) {
    await makeFolder(run.dir);
    await writeStepSpeed(run.dir, { ...measured, ...about });
    console.log(
      "notRun" in measured
        ? `Not timed: ${measured.notRun}`
        : `${measured.tokensPerSecond.toFixed(0)} tokens/s on each GPU`,
    );
    console.log(next("experiment", "fused"));
  }
  gpu.close();

  /** The speed, or why there is none: the step's memory is known before, and may not fit. */
  async function timed() {
    try {
      await parameters.load(gpu, randomWeights);
      const share = { ...how, objective: objectiveOf(unfused) };
      const planned = await planStep(gpu, parameters, step, share);
      const { steps, accumulation } = step;
      const random = randomMicroBatches(parameters);
      const times = await timeSteps(planned, random, step, steps, accumulation, ranks);
      planned.destroy();
      return { tokensPerSecond: times.tokensPerSecond / ranks.size };
    } catch (error) {
      if (ranks.size > 1 || !(error instanceof TooLittleMemory)) throw error;
      return { notRun: `does not fit: ${error.message}` };
    }
  }
});
