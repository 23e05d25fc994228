/** `deno task export --model DIR --output DIR`: writes a checkpoint for other programs. */
import { parseArgs } from "@std/cli/parse-args";
import { runCommand } from "../kernels/host/run-command.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { CHECKSUMS_FILE, hasChecksums } from "./host/checksums.ts";
import { openFolder } from "./host/disk-folder.ts";
import { exportModel } from "./host/export-model.ts";

const HELP = `Writes a checkpoint as a model folder for other programs, in Hugging Face's layout.

Usage:
  deno task export --model DIR --output DIR [options]
  deno task export --model DIR --check

Examples:
  deno task export --model runs/pretrain --output steel-tang --dtype bf16
  deno task export --model runs/pretrain --check

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint, or of a run for its newest one; required
  --output DIR             folder to write; it must not exist yet; required
  --check                  write nothing: read every file of the checkpoint and compare it with its
                           checksum
  --dtype NAME             number format of the weights: f32, f16 or bf16 [f32]
  --help                   show this text`;

const DTYPES = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

await runCommand(async () => {
  const flags = parseArgs(Deno.args, {
    string: ["model", "output", "dtype"],
    boolean: ["help", "check"],
    default: { dtype: "f32" },
    unknown: (name: string) => {
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  if (flags.check) {
    if (!flags.model || flags.output) throw new UserError("--check needs --model, and no --output");
    return await checkFiles(flags.model);
  }
  if (!flags.model || !flags.output) {
    throw new UserError("--model and --output are needed; --help tells more.");
  }
  if (!Object.hasOwn(DTYPES, flags.dtype)) {
    throw new UserError(`--dtype is ${flags.dtype}; expected ${Object.keys(DTYPES).join(", ")}`);
  }
  await exportModel(flags.model, flags.output, DTYPES[flags.dtype as keyof typeof DTYPES]);
  console.log(`Written to ${flags.output}`);
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
