/** `deno task bench:kernels`: matrix products and attention here and in PyTorch, on the same GPU. */
import { parseArgs } from "@std/cli/parse-args";
import { textTable } from "../../data/page/table.ts";
import { formatJson } from "../../data/text/json.ts";
import {
  benchmarkKernels,
  benchmarkLimits,
  COPIED,
  type KernelRate,
  timedProducts,
} from "../../kernels/benchmark.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { openGpu } from "../../kernels/host/open-gpu.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { DEVICE_HELP, deviceOptions } from "../../model/command-line/device-flags.ts";
import { numberFlag } from "../../model/command-line/number-flag.ts";
import { isMixed } from "../../model/network/precision.ts";
import { atLeastOne } from "../../model/number-range.ts";
import { benchmarkModel, kernelShapes } from "../../train/bench/benchmark-model.ts";
import { runPython } from "./run-python.ts";

const HELP = `Times matrix products and attention at the sizes of Steel-LLM, here and in PyTorch.
PyTorch takes cuBLAS, and the fastest of its attentions.

Usage:
  deno task bench:kernels [options]

Example:
  deno task bench:kernels --python=/opt/venv/bin/python3

Options, with defaults in brackets:
  --python PATH            Python with PyTorch [python3]
  --micro-batch N          sequences of a micro-batch [8; on a software driver 2]
  --seconds N              longest time for PyTorch [120]
  --json                   print one JSON object instead of a table
  --help                   show this text

${DEVICE_HELP}`;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["python", "micro-batch", "seconds", "gpu", "precision"],
    boolean: ["json", "help"],
    unknown: (name: string) => {
      throw new UserError(`unknown option ${name}; --help lists all options`);
    },
  });
  if (flags.help) return console.log(HELP);
  const device = deviceOptions(flags);
  const asked = numberFlag("micro-batch", flags["micro-batch"], atLeastOne);
  const seconds = numberFlag("seconds", flags.seconds, atLeastOne) ?? 120;
  await installMissingDriver();
  const gpu = await openGpu(device.gpu);
  const { cpu, name, implementation } = gpu.capabilities;
  const mixed = isMixed(device.precision, gpu.capabilities);
  const { config, sequence } = await benchmarkModel(cpu);
  const shapes = kernelShapes(config, { microBatch: asked ?? (cpu ? 2 : 8), sequence });
  const products = timedProducts(shapes).map(({ name, m, n, k }) => [name, [m, n, k]]);
  const theirs = new Map<unknown, unknown>();
  const inputs = {
    ...shapes,
    copied: COPIED[cpu ? "cpu" : "gpu"],
    dtype: mixed ? "bfloat16" : "float32",
    products: Object.fromEntries(products),
  };
  const args = [JSON.stringify(inputs)];
  let version = "";
  for await (
    const line of runPython(flags.python ?? "python3", "torch_kernels.py", args, seconds)
  ) {
    if (typeof line.torch === "string") version = line.torch;
    else theirs.set(line.name, line.milliseconds);
  }
  const limits = await benchmarkLimits(gpu, mixed);
  const kernels = await benchmarkKernels(gpu, shapes, mixed);
  gpu.close();
  const rows = [limits.copy, limits.multiply, ...kernels].map((kernel) => {
    const peer = theirs.get(kernel.name);
    const limit = kernel.unit === "GB/s" ? limits.copy : limits.multiply;
    return {
      ...kernel,
      shareOfLimit: kernel.rate / limit.rate,
      peerRate: typeof peer === "number" ? kernel.rate * kernel.milliseconds / peer : undefined,
    };
  });
  if (flags.json) return console.log(formatJson({ name, implementation, mixed, version, rows }));
  console.log(textTable({
    title: `${name}, ${implementation}, ${inputs.dtype} in PyTorch ${version}, ` +
      `${mixed ? "mixed" : "f32"} here\n`,
    columns: ["", "", "here", "of its limit", "PyTorch", "here of it"],
    rows: rows.map(({ name, shape, rate, unit, shareOfLimit, peerRate }) => [
      ...[name, shape, rateOf(rate, unit), percent(shareOfLimit)],
      ...peerRate === undefined ? ["", ""] : [rateOf(peerRate, unit), percent(rate / peerRate)],
    ]),
    notes: ["\nThe limits: a copy, and multiplications whose operands stay in registers."],
  }));
});

function rateOf(rate: number, unit: KernelRate["unit"]): string {
  return `${rate.toPrecision(rate < 100 ? 2 : 3)} ${unit}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
