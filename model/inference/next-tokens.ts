import type { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import {
  FOUND_WORDS,
  likeliestOf,
  likeliestToken,
  likeliestTokens,
} from "../../kernels/decoding/likeliest.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import {
  penalizeTokens,
  rememberTokens,
  suppressTokens,
} from "../../kernels/decoding/token-penalties.ts";
import { download, downloadWords, upload } from "../../kernels/runtime/transfer.ts";
import type { Batch } from "../network/batch.ts";
import { chooseAmong, chooseToken, needsWholeRow, type SamplingOptions } from "./sampling.ts";

/**
 * The logits of the next token of several texts, and the choice among them. The GPU applies the
 * penalties. It also chooses the tokens if these are the likeliest ones; if they are drawn, it finds
 * a few likely ones for the host to draw from. The host reads a whole row only if those are too few.
 */
export class NextTokens {
  /** [texts] u32: the ids that the next step reads. */
  readonly ids: Tensor;
  /** [texts, vocabulary] f32, with penalties applied. */
  readonly #logits: Tensor;
  /** [texts, FOUND_WORDS] u32: the likeliest tokens. */
  readonly #found?: Tensor;
  /** [texts, vocabulary] u32: 1 for the tokens that are in a text. */
  readonly #seen?: Tensor;
  /** [count] u32. */
  readonly #suppressed?: Tensor;
  readonly #suppressIds: Uint32Array<ArrayBuffer>;

  private constructor(
    private readonly gpu: Gpu,
    private readonly sampling: SamplingOptions,
    private readonly texts: number,
    private readonly vocabulary: number,
  ) {
    const { repetitionPenalty = 1, suppressIds = [] } = sampling;
    this.ids = persistent("inputs", "next ids", [texts], "u32");
    this.#logits = persistent("outputs", "next logits", [texts, vocabulary]);
    if (!this.chosenOnGpu && !needsWholeRow(sampling)) {
      this.#found = persistent("outputs", "likeliest tokens", [texts, FOUND_WORDS], "u32");
    }
    if (repetitionPenalty !== 1) {
      this.#seen = persistent("cache", "seen tokens", [texts, vocabulary], "u32");
    }
    // The place of an id beyond the vocabulary would be in the next text's row.
    this.#suppressIds = Uint32Array.from(suppressIds.filter((id) => id >= 0 && id < vocabulary));
    if (this.#suppressIds.length > 0) {
      const shape = [this.#suppressIds.length];
      this.#suppressed = persistent("inputs", "suppressed ids", shape, "u32");
    }
  }

  /** Allocates memory for the next tokens of `texts` texts. */
  static async allocate(
    gpu: Gpu,
    texts: number,
    vocabulary: number,
    sampling: SamplingOptions,
  ): Promise<NextTokens> {
    const next = new NextTokens(gpu, sampling, texts, vocabulary);
    try {
      await allocate(gpu, next.#tensors.map(({ storage }) => storage));
    } catch (error) {
      next.destroy();
      throw error;
    }
    if (next.#suppressed) upload(gpu, next.#suppressed, next.#suppressIds);
    return next;
  }

  /** Whether the GPU chooses the tokens, so that the next step finds their ids there. */
  get chosenOnGpu(): boolean {
    return !this.sampling.temperature;
  }

  get #tensors(): Tensor[] {
    const all = [this.ids, this.#logits, this.#found, this.#seen, this.#suppressed];
    return all.filter((tensor) => tensor !== undefined);
  }

  /**
   * Records what becomes of the logits of a pass.
   *
   * @param computed [texts, vocabulary] f32 or f16
   * @param batch the tokens that the pass has read
   * @param first whether these are the first tokens of the texts
   */
  record(computed: Tensor, batch: Batch, { first }: { first: boolean }): void {
    const graph = computed.graph;
    const logits = graph.overwritten(this.#logits);
    graph.parallel(
      "next logits",
      { computed: read(computed), logits: write(logits) },
      "logits[i] = logits_type(computed[i]);",
    );
    const { temperature = 0, repetitionPenalty = 1 } = this.sampling;
    if (this.#seen) {
      if (first) graph.parallel("forget", { seen: write(this.#seen) }, "seen[i] = seen_type();");
      rememberTokens(graph.overwritten(batch.ids), batch.sequences.index, this.#seen);
      penalizeTokens(logits, this.#seen, repetitionPenalty);
    }
    if (this.#suppressed) suppressTokens(logits, this.#suppressed);
    if (this.chosenOnGpu) likeliestToken(logits, this.ids);
    else if (this.#found) likeliestTokens(logits, this.#found, temperature);
  }

  /**
   * Chooses each text's next token, the same one that {@linkcode chooseToken} finds in its whole row.
   *
   * @param randoms one for each text
   */
  async choose(randoms: readonly Random[]): Promise<number[]> {
    if (this.chosenOnGpu) return Array.from(await downloadWords(this.gpu, this.ids));
    const found = this.#found && await downloadWords(this.gpu, this.#found);
    const ids = await Promise.all(randoms.map((random, text) => {
      const likeliest = found &&
        likeliestOf(found.subarray(text * FOUND_WORDS, (text + 1) * FOUND_WORDS));
      const id = likeliest && chooseAmong(likeliest, random, this.sampling);
      return id ?? this.#chooseFromAll(text, random);
    }));
    upload(this.gpu, this.ids, Uint32Array.from(ids));
    return ids;
  }

  async #chooseFromAll(text: number, random: Random): Promise<number> {
    return chooseToken(await this.#read(text), random, this.sampling);
  }

  /** [texts][vocabulary], with penalties applied. */
  logits(): Promise<Float32Array[]> {
    return Promise.all(Array.from({ length: this.texts }, (_, text) => this.#read(text)));
  }

  #read(text: number): Promise<Float32Array> {
    return download(this.gpu, this.#logits, text * this.vocabulary, this.vocabulary);
  }

  /** Frees its memory. */
  destroy(): void {
    for (const { storage } of this.#tensors) storage.buffer?.destroy();
  }
}
