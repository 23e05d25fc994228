/** `deno task export --model DIR --output DIR`: writes a model for other programs, or as a site. */
import { parseArgs } from "@std/cli/parse-args";
import { basename } from "node:path";
import { commandArguments } from "../kernels/host/command-arguments.ts";
import { next } from "../kernels/host/next-command.ts";
import { runCommand } from "../kernels/host/run-command.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { CHECKSUMS_FILE, hasChecksums } from "../model/host/checksums.ts";
import { openFolder } from "../model/host/disk-folder.ts";
import { exportModel } from "../model/host/export-model.ts";
import { exportSite } from "../model/host/site/export-site.ts";
import { modelInWords, newestRun, runOf } from "../model/host/run-folder.ts";
import { addTrainer } from "./web/add-trainer.ts";

const HELP =
  `Writes a model for other programs, in Hugging Face's layout, or as a site for browsers.

Usage:
  deno task export [--model DIR] [--output DIR] [options]
  deno task export --to web [--model DIR] [--output DIR] [--title TEXT] [--trainer]
  deno task export [--model DIR] --check

Examples:
  deno task export
  deno task export --model runs/pretrain --output steel-tang --dtype bf16
  deno task export --model runs/sft --merge --output steel-chat
  deno task export --to web --model runs/dpo --output site --title 小钢
  deno task export --model runs/pretrain --check

Options, with defaults in brackets:
  --model DIR              folder of a checkpoint or of an adapter, or of a run for its newest one
                           [the newest run in runs/]
  --adapter DIR            folder of an adapter (LoRA) for that checkpoint
  --output DIR             folder to write; it must not exist yet
                           [NAME-model or NAME-site, of the run NAME]
  --to NAME                huggingface: a model folder; web: a folder of files for any web server,
                           whose page computes the model in its visitor's browser [huggingface]
  --check                  write nothing: read every file of the checkpoint and compare it with its
                           checksum
  --help                   show this text

For huggingface:
  --dtype NAME             number format of the weights: f32, f16 or bf16 [f32]
  --merge                  fold the adapter into the weights of its model

For web, where weights are f16 and an adapter is always folded in:
  --title TEXT             heading of the pages [the run's name]
  --trainer                add a page that trains the default small model in the visitor's browser`;

const DTYPES = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["model", "adapter", "output", "dtype", "to", "title"],
    boolean: ["help", "check", "merge", "trainer"],
    default: { to: "huggingface" },
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
  const { adapter, dtype = "f32", merge, to, title, trainer } = flags;
  if (to !== "huggingface" && to !== "web") {
    throw new UserError(`--to is ${to}; expected huggingface or web`);
  }
  if (!Object.hasOwn(DTYPES, dtype)) {
    throw new UserError(`--dtype is ${dtype}; expected ${Object.keys(DTYPES).join(", ")}`);
  }
  if (to === "web" && (flags.dtype !== undefined || merge)) {
    throw new UserError("A site's weights are f16 and whole: leave --dtype and --merge out");
  }
  if (to === "huggingface" && (title !== undefined || trainer)) {
    throw new UserError("--title and --trainer are for a site: add --to web, or leave them out");
  }
  const dir = flags.model || await newestRun("any");
  const name = basename(runOf(dir));
  if (to === "web") {
    const output = flags.output || `${name}-site`;
    await exportSite(dir, output, { title, adapter, addPages: trainer ? addTrainer : undefined });
    console.log(`${await modelInWords(dir)}: written to ${output}`);
    console.log(`Next: let any web server serve that folder, such as: npx -y serve ${output}`);
    return;
  }
  const output = flags.output || `${name}-model`;
  await exportModel(dir, output, { dtype: DTYPES[dtype as keyof typeof DTYPES], adapter, merge });
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
