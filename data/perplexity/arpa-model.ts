import { UserError } from "../../kernels/runtime/user-error.ts";
import { LINE_END } from "../text/line-ends.ts";
import { readBytes } from "../readers/files/bytes.ts";
import { BEGIN, END, UNKNOWN } from "./kneser-ney.ts";
import { NgramTrie, ROOT } from "./ngram-trie.ts";

/** log10 of the probability of an unknown word where the model has none, as in KenLM. */
const UNKNOWN_LOG_PROBABILITY = -100;

/** The beginning of files that KenLM's `build_binary` makes. */
const KENLM_BINARY = "mmap lm http://kheafield.com/code";

/** An n-gram model with back-off, read from an ARPA file. */
export class ArpaModel {
  readonly #order: number;
  /** The numbers of words. */
  readonly #words = new Map<string, number>();
  readonly #ngrams: NgramTrie;

  private constructor(counts: number[]) {
    this.#order = counts.length;
    this.#ngrams = new NgramTrie(counts.reduce((sum, count) => sum + count, 1));
  }

  /**
   * Reads an ARPA file, decompressed if its name ends in `.gz` or `.zst`. Memory: up to 28 bytes
   * for each n-gram, and the words.
   *
   * @throws UserError if it cannot be read, or is not an ARPA file
   */
  static async read(path: string): Promise<ArpaModel> {
    const counts: number[] = [];
    let model: ArpaModel | undefined;
    let order = 0;
    for await (const line of linesOf(path)) {
      if (line.startsWith(KENLM_BINARY)) {
        throw new UserError(`${path} is KenLM's binary form: give the ARPA file it was made from`);
      }
      const count = /^ngram +\d+ *= *(\d+)/.exec(line);
      const heading = /^\\(\d+)-grams:/.exec(line);
      if (heading !== null) {
        order = Number(heading[1]);
        model ??= ArpaModel.#ofSize(counts, path);
      } else if (model === undefined) {
        if (count !== null) counts.push(Number(count[1]));
      } else if (line.trim() !== "" && !line.startsWith("\\") && !model.#add(line, order)) {
        const start = line.slice(0, 80);
        throw new UserError(`${path} is a damaged ARPA file: the line "${start}" does not fit in`);
      }
    }
    if (model === undefined) throw new UserError(`${path} is not an ARPA file: it has no n-grams`);
    if (!model.#words.has(UNKNOWN)) model.#add(`${UNKNOWN_LOG_PROBABILITY}\t${UNKNOWN}`, 1);
    return model;
  }

  /** Throws UserError if this number of n-grams does not fit into memory. */
  static #ofSize(counts: number[], path: string): ArpaModel {
    try {
      return new ArpaModel(counts);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const count = counts.reduce((sum, ngrams) => sum + ngrams, 0);
      throw new UserError(`${path} has ${count} n-grams, too many for memory: give a pruned model`);
    }
  }

  /**
   * Adds the n-gram of a line.
   *
   * @returns false if the line is not an n-gram, has no context, or is one too many
   */
  #add(line: string, order: number): boolean {
    const [logProbability, ngram = "", logBackOff = "0"] = line.trimEnd().split("\t");
    const words = ngram.split(" ");
    const figures = [Number(logProbability), Number(logBackOff)];
    if (words.length !== order || figures.some(Number.isNaN)) return false;
    if (order === 1) this.#words.set(ngram, this.#words.size);
    let context = ROOT;
    for (const word of words.slice(0, -1)) {
      context = this.#ngrams.find(context, this.#words.get(word) ?? NO_WORD);
      if (context === ROOT) return false;
    }
    const last = this.#words.get(words.at(-1)!);
    return last !== undefined && this.#ngrams.add(context, last, figures[0], figures[1]);
  }

  /** log10 of the probability of a text from its beginning to its end. */
  score(tokens: string[]): number {
    const unknown = this.#words.get(UNKNOWN)!;
    const numberOf = (token: string) => this.#words.get(token) ?? unknown;
    /** The last n words for each n, if they are an n-gram of the model, else the root [n]. */
    let contexts = [ROOT, this.#ngrams.find(ROOT, numberOf(BEGIN))];
    let sum = 0;
    for (const word of [...tokens, END].map(numberOf)) {
      sum += this.#scoreOf(word, contexts);
      contexts = this.#follow(word, contexts);
    }
    return sum;
  }

  /** log10 of the probability of a word after the longest context that the model has. */
  #scoreOf(word: number, contexts: number[]): number {
    let logBackOff = 0;
    for (let n = contexts.length - 1;; n--) {
      if (n > 0 && contexts[n] === ROOT) continue;
      const ngram = this.#ngrams.find(contexts[n], word);
      if (ngram !== ROOT || n === 0) return logBackOff + this.#ngrams.logProbability(ngram);
      logBackOff += this.#ngrams.logBackOff(contexts[n]);
    }
  }

  /** The contexts of the word after this one. */
  #follow(word: number, contexts: number[]): number[] {
    const longer = contexts.map((context, n) =>
      n > 0 && context === ROOT ? ROOT : this.#ngrams.find(context, word)
    );
    return [ROOT, ...longer].slice(0, this.#order);
  }
}

/** No word has this number. */
const NO_WORD = 2 ** 32 - 1;

async function* linesOf(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let begun = "";
  for await (const bytes of readBytes(path)) {
    const text = begun + decoder.decode(bytes, { stream: true });
    // A return at the end may be half of a line's end.
    const end = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(LINE_END);
    begun = lines.pop()! + text.slice(end);
    yield* lines;
  }
  if (begun !== "") yield* begun.split(LINE_END);
}
