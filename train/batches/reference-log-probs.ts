import { createHash } from "node:crypto";
import { join } from "node:path";
import { finishedResult, writeMark } from "../../data/files/finished-mark.ts";
import type { OnProgress } from "../../data/progress/progress.ts";
import { aloneOn, type Communicator } from "../../kernels/ranks/communicator.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { each, type Items } from "./example-batches.ts";
import { digestOf } from "./examples-digest.ts";
import type { Base } from "../checkpoint/base.ts";
import type { RunOptions } from "../run/run-options.ts";
import type { Room } from "../step/micro-batch.ts";
import { SequenceScorer } from "../step/sequence-scorer.ts";

/** The file in a run's folder that keeps the reference model's log-probabilities. */
const CACHE_FILE = "reference-log-probabilities.json";

interface Cache {
  /** A hash of what the numbers depend on: model, data, device and precision. */
  key: string;
  /** [item][sequence]: Σ ln p of the labels. */
  logProbs: number[][];
}

/** The reference model, and where its log-probabilities are kept. */
interface Reference {
  /** The reference model, with the weights of `base`. */
  readonly model: LanguageModel;
  readonly base: Pick<Base, "weights">;
  readonly room: Room;
  /** The run's folder. */
  readonly dir: string;
}

/**
 * Adds to the items each sequence's log-probability under the reference model. It is read from the
 * run's folder if it was computed there for the same model and data, and is as it was written; else
 * it is computed and kept, for the next start too if this one is refused later.
 *
 * @param options ranks, which share the items out, where to say that it has to be computed, or that
 *   the file is damaged, and where to show how far it is
 */
export async function withReferences(
  items: Items,
  reference: Reference,
  options: Pick<RunOptions, "ranks" | "onMessage" | "onProgress">,
): Promise<Items> {
  const { ranks = aloneOn(""), onMessage, onProgress } = options;
  const path = join(reference.dir, CACHE_FILE);
  const key = keyOf(items, reference);
  const kept = await finishedResult<Cache>(path, (text) => onMessage?.(text));
  const own = kept?.key === key ? kept.logProbs : undefined;
  const isKept = (await ranks.allGather([Number(own !== undefined)])).every(([is]) => is === 1);
  // Ranks of different models are refused before they train; nothing of them is to be kept.
  const isOfOne = (await ranks.allGatherText(key)).every((each) => each === key);
  if (!isKept) {
    onMessage?.(
      `Computing the reference model's log-probabilities of ${2 * items.length} answers.`,
    );
  }
  const logProbs = isKept ? own! : await computed(items, reference, ranks, onProgress);
  if (!isKept && isOfOne && ranks.rank === 0) {
    await writeMark(path, { key, logProbs } satisfies Cache, {});
  }
  return {
    length: items.length,
    at: (i) => items.at(i)?.map((sequence, j) => ({ ...sequence, reference: logProbs[i][j] })),
  };
}

/** Each rank computes a run of the items. */
async function computed(
  items: Items,
  { model, room }: Reference,
  ranks: Communicator,
  onProgress?: OnProgress,
): Promise<number[][]> {
  const border = (rank: number) => Math.floor(items.length * rank / ranks.size);
  const first = border(ranks.rank);
  const own = { length: border(ranks.rank + 1) - first, at: (i: number) => items.at(first + i) };
  const scorer = await SequenceScorer.plan(model.gpu, model.parameters, room);
  const show = (pairs: number) =>
    onProgress?.({
      ...{ task: "reference", done: 2 * pairs, total: 2 * own.length, unit: "answers" },
      status: ranks.size > 1 ? "this GPU's share" : "",
    });
  show(0);
  const scores = await scorer.score(each(own), show);
  scorer.destroy();
  const all = await ranks.allGather(scores.flat().map(({ logProb }) => logProb));
  const logProbs = all.flat().values();
  return Array.from(each(items), (item) => item.map(() => logProbs.next().value!));
}

function keyOf(items: Items, { model: { gpu, parameters }, base }: Reference): string {
  const parts = [gpu.capabilities.name, parameters.mixed, digestOf(items), base.weights];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
