/** Runs of commands as processes of their own, to be killed at a chosen moment. */
import { assert } from "@std/assert";
import { readMetrics } from "../../model/host/step-metrics.ts";

/** What starts `train/COMMAND-command.ts`. */
export function commandOf(command: string, args: string[]): string[] {
  const path = new URL(`../../train/${command}-command.ts`, import.meta.url).pathname;
  return [Deno.execPath(), "run", "--quiet", "--allow-all", path, ...args];
}

/** Starts it. */
export function startRun(
  command: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Deno.ChildProcess {
  const [program, ...rest] = commandOf(command, args);
  return new Deno.Command(program, {
    args: rest,
    cwd,
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** When to kill: in the middle of saving this step, or once this step is measured. */
export interface Moment {
  saving?: number;
  measured?: number;
}

/** Kills a run of the folder `dir` when the moment has come. */
export async function killAt(
  { saving, measured = Infinity }: Moment,
  dir: string,
  child: Deno.ChildProcess,
): Promise<void> {
  let running = true;
  child.status.then(() => running = false);
  const hasCome = () =>
    saving
      ? [...Deno.readDirSync(`${dir}/checkpoints`)].some(({ name }) => isPartial(name, saving))
      : readMetrics(`${dir}/metrics.jsonl`).some(({ step }) => step >= measured);
  while (running && !hasCome()) await new Promise((resolve) => setTimeout(resolve, 1));
  assert(running, "the run ended before the moment came");
  child.kill("SIGKILL");
  await child.output();
}

/** Whether a file is what is left of saving a step. */
export function isPartial(name: string, step: number): boolean {
  return name.startsWith(`.step-000000${step}.partial-`);
}

/** What is bit for bit the same after any interruption: the last checkpoint, and every loss. */
export async function result(dir: string, step: number) {
  const last = `${dir}/checkpoints/step-${String(step).padStart(7, "0")}`;
  return {
    weights: await Deno.readFile(`${last}/model.safetensors`),
    moments: await Deno.readFile(`${last}/optimizer.safetensors`),
    state: await Deno.readTextFile(`${last}/training-state.json`),
    losses: readMetrics(`${dir}/metrics.jsonl`)
      .map(({ step, loss, validationLoss }) => [step, loss, validationLoss]),
  };
}
