/** Where a training run keeps its checkpoints: RUN/checkpoints/step-NNNNNNN. */
import { join } from "node:path";
import { exists } from "../../data/files/exists.ts";
import { isMissing, readError } from "../../data/files/file-errors.ts";
import { taskCommand } from "../../kernels/host/next-command.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

const NAME = /^step-(\d+)$/;

/** The folder of a run's checkpoints. */
export function checkpointFolder(run: string): string {
  return join(run, "checkpoints");
}

/** The name of a checkpoint's folder, such as step-0001500. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(7, "0")}`;
}

/** A run's checkpoints, oldest first. */
export async function checkpointsOf(run: string): Promise<string[]> {
  const folder = checkpointFolder(run);
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.filter(({ name }) => NAME.test(name))
      .sort((a, b) => Number(NAME.exec(a.name)![1]) - Number(NAME.exec(b.name)![1]))
      .map(({ name }) => join(folder, name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw readError(error, folder);
  }
}

/** A run's newest checkpoint, or undefined. */
export async function newestCheckpoint(run: string): Promise<string | undefined> {
  return (await checkpointsOf(run)).at(-1);
}

/** What a run of fine-tuning keeps of its examples, in its folder. */
export const EXAMPLES_FILE = "examples.json";

/**
 * The run that saved a checkpoint last.
 *
 * @param kind `fine-tuned` leaves out runs of pretraining
 * @param runs the folder of the runs
 * @throws UserError if there is none
 */
export async function newestRun(kind: "any" | "fine-tuned", runs = "runs"): Promise<string> {
  const found: { run: string; saved: number }[] = [];
  for (const name of await foldersIn(runs)) {
    const run = join(runs, name);
    const checkpoint = await newestCheckpoint(run);
    if (checkpoint === undefined) continue;
    if (kind === "fine-tuned" && !await exists(join(run, EXAMPLES_FILE))) continue;
    found.push({ run, saved: (await Deno.stat(checkpoint)).mtime?.getTime() ?? 0 });
  }
  const newest = found.sort((a, b) => b.saved - a.saved).at(0);
  if (newest) return newest.run;
  const [what, task] = kind === "any" ? ["", "pretrain"] : ["fine-tuned ", "sft"];
  throw new UserError(
    `The folder ${runs} holds no ${what}model yet: run ${
      taskCommand([task])
    } first, or give --model`,
  );
}

/** Which model a folder gives, in words: `runs/sft, step 224`; or its path, if no run saved it. */
export async function modelInWords(dir: string): Promise<string> {
  const [, run, step] = OF_RUN.exec(await newestCheckpoint(dir) ?? dir) ?? [];
  return run === undefined ? dir : `${run}, step ${Number(step)}`;
}

/** The run that saved a checkpoint, by the path of its folder; another path is the run's own. */
export function runOf(dir: string): string {
  return OF_RUN.exec(dir)?.[1] ?? dir;
}

/** The path of a run's checkpoint. */
const OF_RUN = /^(.+)[/\\]checkpoints[/\\]step-(\d+)[/\\]?$/;

async function foldersIn(path: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.filter(({ isFile }) => !isFile).map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw readError(error, path);
  }
}
