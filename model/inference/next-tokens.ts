import type { Random } from "../../data/random.ts";
import {
  coldnessOf,
  FOUND_WORDS,
  likeliestOf,
  likeliestToken,
  likeliestTokens,
} from "../../kernels/decoding/likeliest.ts";
import {
  forgetTokens,
  penalizeTokens,
  rememberTokens,
  suppressTokens,
} from "../../kernels/decoding/token-penalties.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { type Graph, persistent, Tensor } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { download, downloadWords, upload } from "../../kernels/runtime/transfer.ts";
import { chooseAmong, chooseToken, needsWholeRow, type SamplingOptions } from "./sampling.ts";

/** A row of logits from which a token is chosen. */
export interface ChoosingRow {
  /** How its token is chosen. */
  readonly sampling: SamplingOptions;
  /** What draws it. */
  readonly random: Random;
  /** Whether the logits are asked for too. */
  readonly wantsLogits?: boolean;
}

/** A row's next token. */
export interface NextToken {
  readonly id: number;
  /** [vocabulary], with penalties applied, where they were asked for. */
  readonly logits?: Float32Array;
}

/** What the rows may ask for. What none of them does is neither planned nor allocated. */
export interface ChoiceNeeds {
  /** Whether tokens may be drawn, and not from whole rows alone. */
  readonly drawn: boolean;
  /** Whether tokens that are in a text may have a penalty. */
  readonly penalized: boolean;
  /** Ids that are never chosen. */
  readonly suppressIds: readonly number[];
}

/** What these options ask for. */
export function needsOf(sampling: SamplingOptions): ChoiceNeeds {
  const { temperature = 0, repetitionPenalty = 1, suppressIds = [] } = sampling;
  return {
    drawn: temperature > 0 && !needsWholeRow(sampling),
    penalized: repetitionPenalty !== 1,
    suppressIds,
  };
}

/** How many texts there are, and how many of them a pass continues at most. */
export interface TextRoom {
  readonly seats: number;
  readonly rows: number;
}

/** Where the rows of a pass belong in the cache. A seat beyond the cache stands for none. */
export interface RowSeats {
  /** [tokens] u32: of each token that the pass reads. */
  readonly ofTokens: Tensor;
  /** [rows] u32: of each row of logits. */
  readonly ofRows: Tensor;
}

/**
 * The logits of the next token of several texts, and the choice among them. The GPU applies the
 * penalties. It also chooses the tokens that are the likeliest ones; where they are drawn, it finds a
 * few likely ones for the host to draw from. The host reads a whole row only if those are too few.
 */
export class NextTokens {
  /** [rows] u32: the ids that the next step reads. */
  readonly ids: Tensor;
  /** [rows, vocabulary] f32, with penalties applied. */
  readonly #logits: Tensor;
  /** [rows, FOUND_WORDS] u32: the likeliest tokens. */
  readonly #found?: Tensor;
  /** [rows] f32. */
  readonly #coldness?: Tensor;
  /** [seats, vocabulary] u32: 1 for the tokens that are in a text. */
  readonly #seen?: Tensor;
  /** [rows, 2] f32. */
  readonly #penalties?: Tensor;
  /** [count] u32. */
  readonly #suppressed?: Tensor;
  readonly #suppressIds: Uint32Array<ArrayBuffer>;

  private constructor(
    private readonly gpu: Gpu,
    { seats, rows }: TextRoom,
    private readonly vocabulary: number,
    { drawn, penalized, suppressIds }: ChoiceNeeds,
  ) {
    this.ids = persistent("inputs", "next ids", [rows], "u32");
    this.#logits = persistent("outputs", "next logits", [rows, vocabulary]);
    if (drawn) {
      this.#found = persistent("outputs", "likeliest tokens", [rows, FOUND_WORDS], "u32");
      this.#coldness = persistent("inputs", "coldness", [rows]);
    }
    if (penalized) {
      this.#seen = persistent("cache", "seen tokens", [seats, vocabulary], "u32");
      this.#penalties = persistent("inputs", "repetition penalties", [rows, 2]);
    }
    // The place of an id beyond the vocabulary would be in the next text's row.
    this.#suppressIds = Uint32Array.from(suppressIds.filter((id) => id >= 0 && id < vocabulary));
    if (this.#suppressIds.length > 0) {
      const shape = [this.#suppressIds.length];
      this.#suppressed = persistent("inputs", "suppressed ids", shape, "u32");
    }
  }

  /** Allocates memory for the next tokens of texts that ask for no more than `needs`. */
  static async allocate(
    gpu: Gpu,
    room: TextRoom,
    vocabulary: number,
    needs: ChoiceNeeds,
  ): Promise<NextTokens> {
    const next = new NextTokens(gpu, room, vocabulary, needs);
    try {
      await allocate(gpu, next.#tensors.map(({ storage }) => storage));
    } catch (error) {
      next.destroy();
      throw error;
    }
    if (next.#suppressed) upload(gpu, next.#suppressed, next.#suppressIds);
    return next;
  }

  get #tensors(): Tensor[] {
    const { ids } = this;
    const all = [ids, this.#logits, this.#found, this.#coldness, this.#seen, this.#penalties]
      .concat(this.#suppressed);
    return all.filter((tensor) => tensor !== undefined);
  }

  /**
   * Records what becomes of the logits of a pass.
   *
   * @param computed [rows, vocabulary] f32 or f16: at most as many rows as there is room for
   * @param ids [tokens] u32: the tokens that the pass reads
   * @param first whether these are the first tokens of their texts
   */
  record(computed: Tensor, ids: Tensor, seats: RowSeats, { first }: { first: boolean }): void {
    const { graph, shape: [rows] } = computed;
    const part = (tensor: Tensor) => firstRows(tensor, rows, graph);
    const logits = part(this.#logits);
    graph.parallel(
      "next logits",
      { computed: read(computed), logits: write(logits) },
      "logits[i] = logits_type(computed[i]);",
    );
    if (this.#seen && this.#penalties) {
      if (first) forgetTokens(seats.ofRows, this.#seen);
      rememberTokens(ids, seats.ofTokens, this.#seen);
      penalizeTokens(logits, this.#seen, seats.ofRows, this.#penalties);
    }
    if (this.#suppressed) suppressTokens(logits, this.#suppressed);
    likeliestToken(logits, part(this.ids));
    if (this.#found && this.#coldness) {
      likeliestTokens(logits, part(this.#found), this.#coldness);
    }
  }

  /** The ids that the next pass reads, as a tensor of its graph, [rows] u32. */
  idsIn(graph: Graph, rows: number): Tensor {
    return firstRows(this.ids, rows, graph);
  }

  /** Tells the next pass how its rows' tokens are to be chosen. */
  prepare(rows: readonly ChoosingRow[]): void {
    if (this.#coldness) {
      const values = rows.map(({ sampling: { temperature = 0 } }) => coldnessOf(temperature));
      upload(this.gpu, this.#coldness, Float32Array.from(values));
    }
    if (this.#penalties) {
      const factors = rows.flatMap(({ sampling: { repetitionPenalty = 1 } }) => [
        repetitionPenalty,
        1 / repetitionPenalty,
      ]);
      upload(this.gpu, this.#penalties, Float32Array.from(factors));
    }
  }

  /**
   * Chooses each row's next token, the same one that {@linkcode chooseToken} finds in its whole row.
   * What all rows' likeliest tokens are is known on the GPU at once: the next pass may begin before
   * this has answered.
   */
  async choose(rows: readonly ChoosingRow[]): Promise<NextToken[]> {
    const { gpu } = this;
    const isDrawn = rows.some(({ sampling }) => !isGreedy(sampling));
    // All reads are in the queue before this waits: the next pass may write over what they read.
    const [likeliest, found, ...logits] = await Promise.all([
      downloadWords(gpu, this.ids),
      isDrawn && this.#found ? downloadWords(gpu, this.#found) : undefined,
      ...rows.map(({ sampling, wantsLogits }, row) =>
        wantsLogits || needsWholeRow(sampling) ? this.#read(row) : undefined
      ),
    ]);
    const ids = await Promise.all(rows.map(async ({ sampling, random }, row) => {
      if (isGreedy(sampling)) return likeliest[row];
      const few = found && !needsWholeRow(sampling)
        ? likeliestOf(found.subarray(row * FOUND_WORDS, (row + 1) * FOUND_WORDS))
        : undefined;
      return (few && chooseAmong(few, random, sampling)) ??
        chooseToken(logits[row] ?? await this.#read(row), random, sampling);
    }));
    if (isDrawn) upload(gpu, this.ids, Uint32Array.from(ids));
    return ids.map((id, row) => ({ id, logits: rows[row].wantsLogits ? logits[row] : undefined }));
  }

  /** Logits of the first rows, [rows][vocabulary], with penalties applied. */
  logits(rows: number): Promise<Float32Array[]> {
    return Promise.all(Array.from({ length: rows }, (_, row) => this.#read(row)));
  }

  #read(row: number): Promise<Float32Array> {
    return download(this.gpu, this.#logits, row * this.vocabulary, this.vocabulary);
  }

  /** Frees its memory. */
  destroy(): void {
    for (const { storage } of this.#tensors) storage.buffer?.destroy();
  }
}

/** The first rows of a tensor that has room for more, for an operator that overwrites them. */
function firstRows(tensor: Tensor, rows: number, graph: Graph): Tensor {
  const { storage, shape: [, ...widths], dtype } = tensor;
  return new Tensor(storage, [rows, ...widths], dtype, graph);
}

/** Whether the likeliest token is taken: the GPU knows it before the host. */
export function isGreedy({ temperature = 0 }: SamplingOptions): boolean {
  return temperature === 0;
}
