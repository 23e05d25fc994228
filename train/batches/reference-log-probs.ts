import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { WholeFile } from "../../data/files/whole-file.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { each, type Items } from "./example-batches.ts";
import { digestOf } from "./examples-digest.ts";
import type { Room } from "../step/micro-batch.ts";
import { SequenceScorer } from "../step/sequence-scorer.ts";

/** The file in a run's folder that keeps what the reference model made of the answers. */
const CACHE_FILE = "reference-log-probabilities.json";

interface Cache {
  /** What the numbers depend on: model, data, device and arithmetic. */
  key: string;
  /** [item][sequence]: Σ ln p of the labels. */
  logProbs: number[][];
}

/**
 * The items with each sequence's log-probability under the model as it is: from the run's folder if
 * it was computed there for the same model and data, else computed and kept there.
 *
 * @param from `model` holds the weights of the checkpoint `base`; `dir` is the run's folder
 */
export async function withReferences(
  items: Items,
  { model, base, room, dir }: { model: LanguageModel; base: string; room: Room; dir: string },
): Promise<Items> {
  const path = join(dir, CACHE_FILE);
  const key = await keyOf(items, model, base);
  const { logProbs } = await cached(path, key) ??
    await keep(path, { key, logProbs: await computed(items, model, room) });
  return {
    length: items.length,
    at: (i) => items.at(i)?.map((sequence, j) => ({ ...sequence, reference: logProbs[i][j] })),
  };
}

async function computed(items: Items, model: LanguageModel, room: Room) {
  console.log(`Computing the reference model's log-probabilities of ${2 * items.length} answers.`);
  const scorer = await SequenceScorer.plan(model.gpu, model.parameters, room);
  const scores = await scorer.score(each(items));
  scorer.destroy();
  return scores.map((item) => item.map(({ logProb }) => logProb));
}

async function keep(path: string, cache: Cache): Promise<Cache> {
  await WholeFile.write(path, JSON.stringify(cache));
  return cache;
}

async function cached(path: string, key: string): Promise<Cache | undefined> {
  try {
    const cache: Cache = JSON.parse(await Deno.readTextFile(path));
    return cache.key === key ? cache : undefined;
  } catch {
    return undefined; // none yet, or cut off while it was written: it is computed again
  }
}

async function keyOf(
  items: Items,
  { gpu, parameters }: LanguageModel,
  base: string,
): Promise<string> {
  const hash = createHash("sha256");
  hash.update(`${gpu.capabilities.name} ${parameters.mixed} ${digestOf(items)}\n`);
  const entries = await Array.fromAsync(Deno.readDir(base));
  const names = entries.map(({ name }) => name).filter((name) => name.startsWith("model"));
  for (const name of names.toSorted()) await updateFromFile(hash, join(base, name));
  return hash.digest("hex");
}

async function updateFromFile(hash: Hash, path: string): Promise<void> {
  for await (const chunk of createReadStream(path)) hash.update(chunk);
}
