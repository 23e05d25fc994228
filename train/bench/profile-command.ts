/** `deno task profile`: where the time of a training step goes, kernel by kernel. */
import { parseArgs } from "@std/cli/parse-args";
import { openGpu } from "../../kernels/runtime/device.ts";
import { runCommand, UserError } from "../../kernels/runtime/user-error.ts";
import { deviceOptions } from "../../model/command-line/device-flags.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { atLeastOne } from "../../model/number-range.ts";
import { isMixed } from "../../model/network/precision.ts";
import { benchmarkModel, randomWeights } from "./benchmark-model.ts";
import { profileTable } from "./profile-table.ts";
import { profileStep } from "./step-benchmark.ts";

const HELP = `deno task profile [options]

  --gpu          auto, dawn or deno [auto]
  --precision    auto, f32 or mixed [auto]
  --micro-batch  sequences at once [8; 2 on a software driver]`;

await runCommand(async () => {
  const flags = parseArgs(Deno.args, {
    string: ["gpu", "precision", "micro-batch"],
    boolean: ["help"],
    unknown: (name: string) => {
      throw new UserError(`Unknown argument ${name}.\n\n${HELP}`);
    },
  });
  if (flags.help) return console.log(HELP);
  const device = deviceOptions(flags);
  const asked = numberFlag("micro-batch", flags["micro-batch"], atLeastOne);
  const gpu = await openGpu(device.gpu);
  const mixed = isMixed(device.precision, gpu.capabilities);
  const microBatch = asked ?? (gpu.capabilities.cpu ? 2 : 8);
  const { config, sequence } = benchmarkModel(gpu.capabilities.cpu);
  const parameters = new Parameters(config, mixed);
  await parameters.load(gpu, randomWeights);
  const times = await profileStep(gpu, parameters, { microBatch, sequence });
  const lines = [
    ...profileTable(`micro-batch of ${microBatch}`, times.microBatch),
    ...profileTable("update", times.update),
  ];
  for (const line of lines) console.log(line);
  gpu.close();
});
