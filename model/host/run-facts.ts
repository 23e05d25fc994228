import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { readIfThere } from "../../data/files/text-file.ts";
import { parseObject } from "../../data/text/json.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { EXAMPLES_FILE } from "./run-folder.ts";

/** What a run notes of itself in `facts.json`. */
export interface Facts {
  /** When it began, as ISO 8601 has it. */
  began?: string;
  /** The commit of this program with which it began. */
  commit?: string;
  /** The loss of a model that knows only how often each held-out token occurs, in nats. */
  unigramEntropy?: number;
  /** The share of the held-out exam's questions that the model answers rightly before training. */
  examBefore?: number;
  /** The same after it. */
  examAfter?: number;
  /** Optimizer steps of the whole run, also where its settings give epochs. */
  steps?: number;
  /** Bytes of GPU memory that it took. */
  memoryBytes?: number;
  /** Device, memory, machine and versions, in words. */
  others: Record<string, string>;
}

/**
 * Reads `facts.json` of a run's folder, and the tokens it was trained on by source, or of fine-tuning
 * by language (`examples.json`).
 *
 * @throws UserError naming the file that holds anything else
 */
export async function readRunFacts(
  folder: string,
): Promise<{ facts: Facts; mixture: Record<string, number> }> {
  const factsPath = join(folder, "facts.json");
  const { tokensBySource, ...facts } = await readObject(factsPath);
  const examplesPath = join(folder, EXAMPLES_FILE);
  const { tokens } = await readObject(examplesPath);
  return {
    facts: factsOf(facts, factsPath),
    mixture: tokensBySource === undefined
      ? countsOf(tokens ?? {}, examplesPath)
      : countsOf(tokensBySource, factsPath),
  };
}

function factsOf(facts: Record<string, unknown>, path: string): Facts {
  const { began, commit, unigramEntropy, examBefore, examAfter, steps, memoryBytes, ...others } =
    facts;
  const isOptional = (type: "string" | "number", ...values: unknown[]) =>
    values.every((value) => value === undefined || typeof value === type);
  const isSound = isOptional("string", began, commit) &&
    isOptional("number", unigramEntropy, examBefore, examAfter, steps, memoryBytes) &&
    (began === undefined || !Number.isNaN(Date.parse(began as string)));
  if (!isSound) throw new UserError(`${path}: not the facts of a training run`);
  return {
    ...{ began, commit, unigramEntropy, examBefore, examAfter, steps, memoryBytes } as Omit<
      Facts,
      "others"
    >,
    others: Object.fromEntries(
      Object.entries(others).map(([name, value]) => [
        name,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  };
}

/** Counts by name. @throws {UserError} naming the file, if it is anything else */
function countsOf(counts: unknown, path: string): Record<string, number> {
  if (isRecord(counts) && Object.values(counts).every(Number.isFinite)) {
    return counts as Record<string, number>;
  }
  throw new UserError(`${path}: expected numbers of tokens by name`);
}

/** A JSON object, empty where there is no file. */
async function readObject(path: string): Promise<Record<string, unknown>> {
  const text = await readIfThere(path);
  return text === undefined ? {} : parseObject(text, path);
}
