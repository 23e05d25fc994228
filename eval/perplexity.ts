import { IGNORED_LABEL } from "../data/instructions/encode.ts";
import type { Communicator } from "../kernels/ranks/communicator.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { filesOf } from "../data/files/input-files.ts";
import { embeddedHeldOut } from "../data/corpora/embedded.ts";
import { readAllDocuments } from "../data/readers/read-file.ts";

/** How well a model predicts a text. Bits per byte can be compared between tokenizers. */
export interface Perplexity {
  /** Number of tokens that were predicted. */
  tokens: number;
  /** UTF-8 bytes of the text. */
  bytes: number;
  /** exp of the mean negative log-probability of a token. */
  perplexity: number;
  /** Negative log2-probability of the whole text over its UTF-8 bytes. */
  bitsPerByte: number;
}

/** What is needed of a language model. */
export interface Predictor {
  /** Gives the ids of a text, and the id after which a document begins. */
  tokenizer: { encode(text: string): number[]; documentStart: number };
  /**
   * The log-probability of every label.
   *
   * @param inputs token ids [batch][seq]
   * @param labels the next tokens [batch][seq]
   * @returns natural logarithms [batch][seq]
   */
  logProbs(inputs: number[][], labels: number[][]): Promise<number[][]>;
}

/**
 * Measures how well a model predicts documents: every token is predicted once, from those before it
 * in its window. A document begins after the token that its tokenizer puts before texts, or else
 * after the one that ends the document before it in pretraining: for Steel-LLM `<|im_end|>`, here
 * and in the shards of its published checkpoints. (Their `<|endoftext|>` is padding: they were never
 * trained on what follows it.)
 *
 * @param window tokens of a window
 * @param batch windows that are computed at once
 * @param ranks that share the batches, all of which call it; the result is that of one, to the bit
 */
export async function perplexity(
  model: Predictor,
  documents: string[],
  window: number,
  batch: number,
  ranks?: Communicator,
): Promise<Perplexity> {
  const windows = documents.flatMap((document) => {
    const ids = [model.tokenizer.documentStart, ...model.tokenizer.encode(document)];
    const starts = Array.from(
      { length: Math.ceil((ids.length - 1) / window) },
      (_, i) => i * window,
    );
    return starts.map((start) => ids.slice(start, start + window + 1));
  });
  const { rank = 0, size = 1 } = ranks ?? {};
  const own: number[] = [];
  for (let i = rank * batch; i < windows.length; i += size * batch) {
    const some = windows.slice(i, i + batch);
    const logProbs = await model.logProbs(
      some.map((ids) => ids.slice(0, -1)),
      some.map((ids) => ids.slice(1)),
    );
    own.push(logProbs.flat().reduce((sum, logProb) => sum + logProb, 0));
  }
  const shares = await ranks?.allGather(own) ?? [own];
  let nats = 0;
  for (let i = 0; i * batch < windows.length; i++) nats -= shares[i % size][Math.floor(i / size)];
  const tokens = windows.reduce((sum, ids) => sum + ids.length - 1, 0);
  const bytes = documents.reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0);
  return {
    tokens,
    bytes,
    perplexity: Math.exp(nats / tokens),
    bitsPerByte: nats / Math.LN2 / bytes,
  };
}

/** How each token is predicted. */
export type Prediction = "whole" | "prefixes" | "decoding";

/** What can be predicted by {@linkcode predictorBy}. */
export interface Decodable extends Predictor {
  /** The same log-probabilities as generation with a cache computes them. */
  decodedLogProbs: Predictor["logProbs"];
}

/**
 * A predictor that predicts a token from a pass over its whole window (`whole`), from a pass over the
 * tokens before it (`prefixes`), or as generation does, with a cache (`decoding`). A model that is
 * causal predicts alike in all three ways. For one that is not, `whole` has seen what it predicts.
 *
 * @param batch prefixes in one pass
 */
export function predictorBy(way: Prediction, model: Decodable, batch: number): Predictor {
  const { tokenizer } = model;
  if (way === "whole") return model;
  if (way === "decoding") {
    return { tokenizer, logProbs: (inputs, labels) => model.decodedLogProbs(inputs, labels) };
  }
  return {
    tokenizer,
    async logProbs(inputs, labels) {
      const found: number[][] = [];
      for (const [i, ids] of inputs.entries()) {
        const prefixes = ids.map((_, place) => ids.slice(0, place + 1));
        found.push([]);
        for (let first = 0; first < prefixes.length; first += batch) {
          const some = prefixes.slice(first, first + batch);
          const ofLast = some.map((prefix) =>
            prefix.map((_, at) => at === prefix.length - 1 ? labels[i][at] : IGNORED_LABEL)
          );
          const logProbs = await model.logProbs(some, ofLast);
          found[i].push(...logProbs.map((values) => values.at(-1)!));
        }
      }
      return found;
    },
  };
}

/** Bytes of each source of the embedded text that are read where no other number is asked for. */
export const EMBEDDED_BYTES = 16384;

/**
 * The documents to measure on, by source: those of a file or folder, or for `embedded` what runs on the
 * embedded text hold out.
 *
 * @param bytes of each source of the embedded text
 * @throws {UserError} for a file or record that cannot be read, or a file without text
 */
export async function readSources(path: string, bytes: number): Promise<Map<string, string[]>> {
  if (path === "embedded") return await embeddedHeldOut(bytes);
  return new Map([[path, await readTexts(path)]]);
}

/**
 * The texts of a file's documents, which are read as those of pretraining: of JSON lines, a JSON
 * array or Parquet each record is a document, a `.txt` file is one document.
 *
 * @throws {UserError} for a file or record that cannot be read, or a file without text
 */
export async function readTexts(path: string): Promise<string[]> {
  const texts: string[] = [];
  for (const file of await filesOf([path])) {
    for await (const { text } of readAllDocuments(file)) texts.push(text);
  }
  if (texts.every((text) => text === "")) throw new UserError(`${path}: there is no text in it`);
  return texts;
}
