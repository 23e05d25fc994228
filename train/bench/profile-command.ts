/** `deno task profile`: where the time of a training step goes, kernel by kernel. */
import { parseArgs } from "@std/cli/parse-args";
import { benchmarkLimits } from "../../kernels/benchmark.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { next } from "../../kernels/host/next-command.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { atLeastOne } from "../../model/number-range.ts";
import { isMixed } from "../../model/network/precision.ts";
import { benchmarkModel, randomWeights } from "./benchmark-model.ts";
import { profileTable, withLimits } from "./profile-table.ts";
import { profileStep } from "./step-benchmark.ts";

const HELP = `Shows where the time of a training step goes, kernel by kernel.
On a GPU it takes the 1.1 B model of Steel-LLM, on a software driver a small one.

Usage:
  deno task profile [options]

Example:
  deno task profile --micro-batch=4 --precision=mixed

Options, with defaults in brackets:
  --micro-batch N          size of the micro-batch, in sequences [8; on a software driver 2]
  --help                   show this text

${DEVICE_HELP}`;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["gpu", "precision", "micro-batch"],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`unknown option ${name}; --help lists all options`);
    },
  });
  if (flags.help) return console.log(HELP);
  const device = deviceOptions(flags);
  const asked = numberFlag("micro-batch", flags["micro-batch"], atLeastOne);
  await installMissingDriver();
  const gpu = await openGpu(device.gpu);
  const mixed = isMixed(device.precision, gpu.capabilities);
  const microBatch = asked ?? (gpu.capabilities.cpu ? 2 : 8);
  const limits = await benchmarkLimits(gpu, mixed);
  const { config, sequence } = await benchmarkModel(gpu.capabilities.cpu);
  const parameters = new Parameters(config, mixed);
  await parameters.load(gpu, randomWeights);
  const times = await profileStep(gpu, parameters, { microBatch, sequence });
  const lines = [
    ...profileTable(`micro-batch of ${microBatch}`, withLimits(times.microBatch, limits)),
    ...profileTable("update", withLimits(times.update, limits)),
  ];
  for (const line of lines) console.log(line);
  gpu.close();
  console.log(`\n${next("bench")}`);
});
