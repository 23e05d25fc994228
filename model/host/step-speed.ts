import { join } from "node:path";
import { readIfThere } from "../../data/files/text-file.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { formatJson, parseObject } from "../../data/text/json.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/** The file of a measured training step in its folder. */
export const SPEED_FILE = "speed.json";

/** How fast training steps are, and what memory they take. */
export interface StepSpeed {
  /** Of the median step, for each GPU; left out where steps were planned and not run. */
  readonly tokensPerSecond?: number;
  /** Planned memory of one GPU. */
  readonly memoryBytes: number;
  /** Why steps were not run, in words. */
  readonly notRun?: string;
  /** The device and its precision, in words. */
  readonly device: string;
  /** The version of this program. */
  readonly program: string;
}

/** Writes a folder's measurement. @throws {UserError} if the file cannot be written */
export async function writeStepSpeed(folder: string, speed: StepSpeed): Promise<void> {
  await WholeFile.write(join(folder, SPEED_FILE), formatJson(speed));
}

/** Reads a folder's measurement; undefined where there is none. @throws {UserError} if it is damaged */
export async function readStepSpeed(folder: string): Promise<StepSpeed | undefined> {
  const path = join(folder, SPEED_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const { tokensPerSecond, memoryBytes, notRun, device, program } = parseObject(text, path);
  const isSound = typeof memoryBytes === "number" && typeof device === "string" &&
    typeof program === "string" &&
    (typeof tokensPerSecond === "number" || tokensPerSecond === undefined) &&
    (typeof notRun === "string" || notRun === undefined);
  if (!isSound) throw new UserError(`${path}: not a measurement of deno task bench:step`);
  return { tokensPerSecond, memoryBytes, notRun, device, program };
}
