/** `deno task profile`: where the time of a training step goes, kernel by kernel. */
import { parseArgs } from "@std/cli/parse-args";
import { type Implementation, openGpu } from "../kernels/device.ts";
import { runCommand, UserError } from "../kernels/user-error.ts";
import { isMixed, type Precision } from "../model/precision.ts";
import { benchmarkModel } from "./benchmark-model.ts";
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
  const gpu = await openGpu((flags.gpu ?? "auto") as Implementation);
  const mixed = isMixed((flags.precision ?? "auto") as Precision, gpu.capabilities);
  const microBatch = Number(flags["micro-batch"] ?? (gpu.capabilities.cpu ? 2 : 8));
  const shape = { ...benchmarkModel(gpu.capabilities.cpu), microBatch, mixed };
  const times = await profileStep(gpu, shape);
  const lines = [
    ...profileTable(`micro-batch of ${microBatch}`, times.microBatch),
    ...profileTable("update", times.update),
  ];
  for (const line of lines) console.log(line);
  gpu.close();
});
