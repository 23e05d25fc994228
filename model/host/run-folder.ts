/** Where a training run keeps its checkpoints: RUN/checkpoints/step-NNNNNNN. */
import { join } from "node:path";
import { isMissing, readError } from "../../data/files/file-errors.ts";

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
