import { UserError } from "../../kernels/runtime/user-error.ts";
import { parseObject } from "../../data/text/json.ts";

/** The file beside a checkpoint's weights that says which tokens its rows stand for. */
export const VOCABULARY_FILE = "vocabulary.json";

/**
 * A vocabulary pruned to the tokens that a small run needs. The model works on compact ids, 0 to
 * `size` - 1, in the order of the tokenizer's own ("full") ids.
 */
export class Vocabulary {
  /** Full id of each compact id, ascending. */
  readonly #fullIds: Int32Array;
  /** Compact id of each full id; -1 for tokens that were pruned. */
  readonly #compactIds: Int32Array;

  private constructor(ascendingIds: Int32Array, fullSize: number) {
    this.#fullIds = ascendingIds;
    this.#compactIds = new Int32Array(fullSize).fill(-1);
    ascendingIds.forEach((id, compact) => this.#compactIds[id] = compact);
  }

  /**
   * The vocabulary of these tokens; see `Tokenizer.prunedVocabulary` for those to choose.
   *
   * @param keptIds full ids, in any order and as often as they occur
   * @param fullSize rows of the unpruned model (its config's `vocab_size`)
   */
  static of(keptIds: Iterable<number>, fullSize: number): Vocabulary {
    const kept = new Uint8Array(fullSize);
    for (const id of keptIds) {
      if (!(id in kept)) {
        throw new UserError(`token ${id} is not in a vocabulary of ${fullSize} tokens`);
      }
      kept[id] = 1;
    }
    const ascending = Array.from(kept.keys()).filter((id) => kept[id] === 1);
    return new Vocabulary(Int32Array.from(ascending), fullSize);
  }

  /** Number of tokens kept: the pruned model's `vocab_size`. */
  get size(): number {
    return this.#fullIds.length;
  }

  /** Number of tokens before pruning. */
  get fullSize(): number {
    return this.#compactIds.length;
  }

  /** Whether a full id was kept. */
  has(fullId: number): boolean {
    return this.#compactIds[fullId] >= 0;
  }

  /** Compact ids of full ids. @throws UserError for a token that was pruned */
  toCompact(fullIds: Iterable<number>): number[] {
    return Array.from(fullIds, (id) => {
      if (this.has(id)) return this.#compactIds[id];
      throw new UserError(
        `token ${id} is not among the ${this.size} that this model's vocabulary was pruned to`,
      );
    });
  }

  /** Full ids of the tokens that were pruned, ascending. */
  prunedIds(): number[] {
    return Array.from(this.#compactIds.keys()).filter((id) => !this.has(id));
  }

  /** Full ids of compact ids. */
  toFull(compactIds: Iterable<number>): number[] {
    return Array.from(compactIds, (id) => {
      if (id in this.#fullIds) return this.#fullIds[id];
      throw new UserError(`token ${id} is not in a vocabulary of ${this.size} tokens`);
    });
  }

  /** The contents of `vocabulary.json`. */
  toJson(): string {
    return JSON.stringify({ full_size: this.fullSize, kept_ids: [...this.#fullIds] }) + "\n";
  }

  /** Reads what `toJson` wrote. @throws UserError naming `path` */
  static fromJson(text: string, path: string): Vocabulary {
    const { full_size: fullSize, kept_ids: ids } = parseObject(text, path);
    if (typeof fullSize !== "number" || !Number.isSafeInteger(fullSize) || fullSize < 1) {
      throw new UserError(`${path}: "full_size" must be a whole number of at least 1`);
    }
    const ascending = Array.isArray(ids) &&
      ids.every((id, i) => Number.isInteger(id) && id > (ids[i - 1] ?? -1) && id < fullSize);
    if (!ascending) {
      throw new UserError(`${path}: "kept_ids" must be ascending ids below ${fullSize}`);
    }
    return new Vocabulary(Int32Array.from(ids), fullSize);
  }

  /**
   * Undoes the pruning of an embedding: [size, width] -> [fullSize, width]. Tokens that were pruned
   * get zeros; the model never saw them.
   */
  expandEmbedding(rows: Float32Array, width: number): Float32Array<ArrayBuffer> {
    return this.#expandRows(rows, width, new Float32Array(width));
  }

  /**
   * Undoes the pruning of a head: [size, width] -> [fullSize, width].
   *
   * Pruned tokens get the mean row of tokens that no text contains. Their logit is then a mean of
   * kept logits, so that the largest is never theirs: greedy decoding does not choose them, as it
   * could with rows of zeros. And it is a low one, since those tokens were wrong answers at every
   * position. But the published layout has no bias, no row is low for every hidden state, and
   * pruned tokens are many: sampling must leave out `prunedIds`, which Hugging Face's
   * `generation_config.json` calls `suppress_tokens`.
   *
   * @param neverChosen compact ids of such tokens: the pruned tokenizer's `impossibleIds`
   */
  expandHead(
    rows: Float32Array,
    width: number,
    neverChosen: readonly number[],
  ): Float32Array<ArrayBuffer> {
    const mean = new Float64Array(width);
    for (const id of neverChosen) {
      for (let i = 0; i < width; i++) mean[i] += rows[id * width + i] / neverChosen.length;
    }
    return this.#expandRows(rows, width, Float32Array.from(mean));
  }

  #expandRows(rows: Float32Array, width: number, pruned: Float32Array): Float32Array<ArrayBuffer> {
    if (rows.length !== this.size * width) {
      throw new RangeError(
        `expected [${this.size}, ${width}], but there are ${rows.length} values`,
      );
    }
    const expanded = new Float32Array(this.fullSize * width);
    this.#compactIds.forEach((compact, id) => {
      const row = compact < 0 ? pruned : rows.subarray(compact * width, (compact + 1) * width);
      expanded.set(row, id * width);
    });
    return expanded;
  }
}
