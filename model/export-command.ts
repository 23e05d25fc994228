/** `deno task export --model DIR --output DIR`: writes a checkpoint for other programs. */
import { parseArgs } from "@std/cli/parse-args";
import { basename } from "node:path";
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { next } from "../kernels/host/next-command.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { CHECKSUMS_FILE, hasChecksums } from "./host/checksums.ts";
import { openFolder } from "./host/disk-folder.ts";
import { exportModel } from "./host/export-model.ts";
import { modelInWords, newestRun } from "./host/run-folder.ts";

const HELP = `Writes a checkpoint as a model folder for other programs, in Hugging Face's layout.

Usage:
  deno task export [--model DIR] [--output DIR] [options]
  deno task export [--model DIR] --check

Examples:
  deno task export
  deno task export --model runs/pretrain --output steel-tang --dtype bf16
  deno task export --model runs/sft --merge --output steel-chat
  deno task export --model runs/pretrain --check

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint or of an adapter, or of a run for its newest one
                           [the newest run in runs/]
  --adapter DIR            folder of an adapter (LoRA) for that checkpoint
  --merge                  fold the adapter into the weights of its model
  --output DIR             folder to write; it must not exist yet [NAME-model, of the run NAME]
  --check                  write nothing: read every file of the checkpoint and compare it with its
                           checksum
  --dtype NAME             number format of the weights: f32, f16 or bf16 [f32]
  --help                   show this text`;

const DTYPES = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["model", "adapter", "output", "dtype"],
    boolean: ["help", "check", "merge"],
    default: { dtype: "f32" },
    unknown: (name: string) => {
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  if (flags.check) {
    for (const name of ["output", "adapter", "merge"] as const) {
      if (flags[name]) throw new UserError(`--check writes nothing: leave --${name} out`);
    }
    return await checkFiles(flags.model || await newestRun("any"));
  }
  if (!Object.hasOwn(DTYPES, flags.dtype)) {
    throw new UserError(`--dtype is ${flags.dtype}; expected ${Object.keys(DTYPES).join(", ")}`);
  }
  const dir = flags.model || await newestRun("any");
  const output = flags.output || `${basename(dir)}-model`;
  const dtype = DTYPES[flags.dtype as keyof typeof DTYPES];
  await exportModel(dir, output, { dtype, adapter: flags.adapter, merge: flags.merge });
  console.log(`${await modelInWords(dir)}: written to ${output}`);
  console.log(next("generate", "--model", output, "--prompt", "明月"));
});

/** Compares every file of a checkpoint with its checksum. @throws UserError naming a damaged one */
async function checkFiles(dir: string): Promise<void> {
  using folder = await openFolder(dir);
  if (!await hasChecksums(folder)) {
    throw new UserError(
      `${folder.dir} has no ${CHECKSUMS_FILE}, as checkpoints of other programs: its files cannot be ` +
        `checked`,
    );
  }
  await folder.verify();
  console.log(`${folder.dir}: all its files are as they were written`);
}
