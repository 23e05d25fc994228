import { UserError } from "../../kernels/runtime/user-error.ts";
import { DEFAULT_READING, type ReadingRules } from "../readers/documents.ts";
import { DamagedFile } from "../readers/files/bytes.ts";
import { readDocuments } from "../readers/read-file.ts";
import type { PreparedStep } from "../recipe.ts";
import { trainNgrams } from "./kneser-ney.ts";
import { charactersOf } from "./perplexity.ts";

/** The order of a character model that fits into the memory of a laptop. */
const ORDER = 4;
/** N-grams of order 3 and above that occur only this often are left out. */
const PRUNED = 1;
/**
 * The most characters of the reference: more hardly change the model, but take memory, about 100
 * bytes each.
 */
const REFERENCE_CHARACTERS = 4_000_000;

/** The number of documents that a threshold is computed from. */
const SAMPLE = 1000;

/**
 * Estimates a model of the characters of a clean reference.
 *
 * @returns an ARPA file
 * @throws UserError if the reference has no document
 */
export async function trainOnReference(paths: string[]): Promise<string> {
  const texts: string[][] = [];
  let characters = 0;
  for (const path of paths) {
    for await (const { text } of readDocuments(path)) {
      texts.push(charactersOf(text));
      characters += text.length;
      if (characters > REFERENCE_CHARACTERS) break;
    }
  }
  if (texts.length === 0) throw new UserError(`the reference ${paths.join(", ")} has no document`);
  return trainNgrams(texts, ORDER, PRUNED);
}

/**
 * The perplexity below which a share of the documents lies, among those that the given steps keep.
 *
 * @param percentile the share in percent, of the first documents of all files
 * @throws UserError if the steps keep none of them
 */
export async function percentileOfPerplexity(
  paths: string[],
  reading: ReadingRules,
  before: PreparedStep[],
  perplexity: (text: string) => number,
  percentile: number,
): Promise<number> {
  const measured: number[] = [];
  for (const path of paths) {
    let left = Math.ceil(SAMPLE / paths.length);
    try {
      for await (const document of readDocuments(path, { ...DEFAULT_READING, ...reading })) {
        const text = afterSteps(document.text, before);
        if (text !== undefined) measured.push(perplexity(text));
        if (--left === 0) break;
      }
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error; // cleaning reports it
    }
  }
  if (measured.length === 0) {
    throw new UserError(
      "the threshold of perplexity cannot be computed: none of the first documents can be read, or " +
        "the operators before perplexity_filter drop all of them",
    );
  }
  measured.sort((a, b) => a - b);
  return measured[Math.ceil(percentile / 100 * measured.length) - 1];
}

/** A text after mappers and filters; undefined if a filter drops it. */
function afterSteps(text: string, steps: PreparedStep[]): string | undefined {
  let mapped = text;
  for (const { operator } of steps) {
    if (operator?.kind === "mapper") mapped = operator.map(mapped);
    if (operator?.kind !== "filter") continue;
    const measure = operator.measure(mapped);
    if (!(operator.min <= measure && measure <= operator.max)) return undefined;
  }
  return mapped;
}
