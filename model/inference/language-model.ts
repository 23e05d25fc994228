import { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { download } from "../../kernels/runtime/transfer.ts";
import { checkChoices, checkGeneration, checkLabels, checkSequences } from "./check-inputs.ts";
import { isCausal, type ModelConfig } from "../network/config.ts";
import { Decoder } from "./decoder.ts";
import { HeadPass, planForward, planScoring } from "./forward-pass.ts";
import type { GenerationConfig } from "../checkpoint/generation-config.ts";
import { uploadLabels } from "../network/labels.ts";
import { NextTokenPass, type NextTokenRoom } from "./next-token-pass.ts";
import type { Parameters } from "../network/parameters.ts";
import { roomForSequences, roomForTokens } from "./plan-sizes.ts";
import type { SamplingOptions } from "./sampling.ts";
import { sharedLength } from "./shared-length.ts";
import { SizedPass } from "./sized-pass.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** What a model may have beside its parameters. */
export interface ModelParts {
  /** Turns text into token ids and back; without one, the model reads and writes ids only. */
  tokenizer?: Tokenizer;
  /** What the checkpoint says of generation. */
  generation?: GenerationConfig;
  /** Whether closing the model closes its GPU; if not, that only frees the model's memory. */
  ownsGpu?: boolean;
}

export interface GenerateOptions extends SamplingOptions {
  /** The most tokens to add. */
  maxTokens?: number;
  /** Tokens that end the text, themselves left out; those of the checkpoint when left out. */
  stopIds?: readonly number[];
  /** Makes random choices repeatable. */
  seed?: number;
}

/** A token as it is generated, and the text that it completes (none in the middle of a character). */
export interface GeneratedToken {
  readonly id: number;
  readonly text: string;
}

/** Rows that the head turns into whole logits at a time. */
const HEAD_ROWS = 64;

/** A plan may have so many times the rows that are wanted, as the last of many batches is small. */
const MOST_PADDING = 8;

/** A shorter beginning is computed again for each sequence: it is hardly worth a plan of its own. */
const SHORTEST_PREFIX = 16;

/** A model on a GPU with its tokenizer. */
export class LanguageModel {
  readonly #forward = new SizedPass((tokens, sequences) =>
    planForward(this.gpu, this.parameters, tokens, sequences)
  );
  readonly #scoring = new SizedPass((tokens, sequences) =>
    planScoring(this.gpu, this.parameters, tokens, sequences)
  );
  #head?: HeadPass;
  #next?: NextTokenPass;
  #lastCall: Promise<unknown> = Promise.resolve();

  constructor(
    readonly gpu: Gpu,
    readonly parameters: Parameters,
    private readonly parts: ModelParts = {},
  ) {}

  get config(): ModelConfig {
    return this.parameters.config;
  }

  /** The checkpoint's tokenizer. @throws UserError if its folder holds none */
  get tokenizer(): Tokenizer {
    if (this.parts.tokenizer) return this.parts.tokenizer;
    throw new UserError(
      "This checkpoint has no tokenizer.json: only token ids can be used with it.",
    );
  }

  /**
   * Logits of every position.
   *
   * @param inputIds sequences of token ids; they may differ in length and never see each other
   * @returns [batch, longest, vocabulary] f32, zeros behind the end of shorter sequences
   */
  logits(inputIds: readonly (readonly number[])[]): Promise<Float32Array> {
    return this.#inTurn(async () => {
      const { vocabSize } = this.config;
      const hidden = await this.#hidden(inputIds);
      const longest = Math.max(...inputIds.map(({ length }) => length));
      const result = new Float32Array(inputIds.length * longest * vocabSize);
      const places = inputIds.flatMap(({ length }, sequence) =>
        Array.from({ length }, (_, position) => (sequence * longest + position) * vocabSize)
      );
      let row = 0;
      for await (const logits of this.#logitsOf(hidden, places.map((_, row) => row))) {
        result.set(logits, places[row++]);
      }
      return result;
    });
  }

  /**
   * Logits of the token that would follow each sequence.
   *
   * @returns [batch][vocabulary] f32
   */
  nextLogits(inputIds: readonly (readonly number[])[]): Promise<Float32Array[]> {
    return this.#inTurn(async () => {
      const hidden = await this.#hidden(inputIds);
      let end = 0;
      const lastRows = inputIds.map(({ length }) => (end += length) - 1);
      return await Array.fromAsync(this.#logitsOf(hidden, lastRows));
    });
  }

  /**
   * Logits of a few tokens as the one that would follow each sequence, such as an exam's letters:
   * faster than {@linkcode nextLogits}, and the next call may be made before this one has answered.
   *
   * What all sequences begin with is computed once if the model is causal. A Soft MoE is not: it
   * mixes all tokens of a sequence, so that the beginning depends on what follows.
   *
   * @param choices ids of the tokens
   * @returns [batch][choices]
   */
  async choiceLogits(
    inputIds: readonly (readonly number[])[],
    choices: readonly number[],
    { sharePrefix = true } = {},
  ): Promise<number[][]> {
    const { reading } = await this.#inTurn(async () => {
      checkSequences(this.config, inputIds);
      checkChoices(this.config, choices);
      const mayShare = sharePrefix && this.sharesPrefixes && inputIds.length > 1;
      const shared = mayShare ? sharedLength(inputIds) : 0;
      const prefix = shared >= SHORTEST_PREFIX;
      const sequences = prefix
        ? [inputIds[0].slice(0, shared), ...inputIds.map((ids) => ids.slice(shared))]
        : inputIds;
      const pass = await this.#planNext({
        tokens: roomForTokens(countTokens(sequences)),
        sequences: roomForSequences(sequences.length),
        choices: choices.length,
        prefix,
      });
      // What is being read is handed on unawaited, so that the next call's pass can be started.
      return { reading: pass.run(sequences, choices) };
    });
    return (await reading).map((logits) => Array.from(logits));
  }

  /** Whether a beginning that several sequences share can be computed once for all of them. */
  get sharesPrefixes(): boolean {
    return isCausal(this.config);
  }

  /**
   * Log-probabilities of labels, already aligned to the logits.
   *
   * @param inputIds sequences of token ids
   * @param labels as long as they; -100 is ignored
   * @returns [batch][sequence]: ln p, 0 where ignored
   */
  logProbs(
    inputIds: readonly (readonly number[])[],
    labels: readonly (readonly number[])[],
  ): Promise<number[][]> {
    return this.#inTurn(() => this.#scores(inputIds, labels));
  }

  async #scores(
    inputIds: readonly (readonly number[])[],
    labels: readonly (readonly number[])[],
  ): Promise<number[][]> {
    checkSequences(this.config, inputIds);
    checkLabels(this.config, inputIds, labels);
    const pass = await this.#scoring.holding(this.gpu, inputIds);
    uploadLabels(this.gpu, pass.labels, labels);
    pass.plan.run();
    const values = await download(this.gpu, pass.logProbs);
    let start = 0;
    return inputIds.map(({ length }) => Array.from(values.subarray(start, start += length)));
  }

  /**
   * Continues a prompt: one forward pass over it, then one token a step.
   *
   * @param prompt text, or token ids
   * @throws UserError for a prompt or options that mean nothing
   */
  async *generate(
    prompt: string | readonly number[],
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken> {
    checkGeneration(options);
    const ids = typeof prompt === "string" ? this.tokenizer.encode(prompt) : prompt;
    if (ids.length === 0) throw new UserError("The prompt is empty: give at least one character.");
    checkSequences(this.config, [ids]);
    const room = this.config.maxPositions - ids.length;
    if (room === 0) {
      throw new UserError(
        `The prompt's ${ids.length} tokens leave no room for more: the model takes at most ` +
          `${this.config.maxPositions} (max_position_embeddings). Shorten the prompt.`,
      );
    }
    const count = Math.min(options.maxTokens ?? 256, room);
    const sampling = { suppressIds: this.suppressIds, ...options };
    const stop = new Set(options.stopIds ?? this.stopIds);
    const random = new Random(options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    const text = this.parts.tokenizer?.createDecodeStream({ skipSpecial: true });
    const capacity = roomForTokens(ids.length + count);
    const decoder = await Decoder.plan(this.gpu, this.parameters, 1, capacity, sampling);
    try {
      for await (const [id] of decoder.generate([ids], [random], count)) {
        if (stop.has(id)) break;
        yield { id, text: text?.push(id) ?? "" };
      }
    } finally {
      decoder.destroy();
    }
  }

  /** Ids that end a text: the configuration's, and the tokenizer's own marks. */
  get stopIds(): number[] {
    const { tokenizer, generation } = this.parts;
    const marks = tokenizer ? [tokenizer.imEnd, tokenizer.endOfText] : [];
    return [...this.config.eosIds, ...generation?.eosIds ?? [], ...marks];
  }

  /** Ids that are never chosen: those of an exported model that its training never saw. */
  get suppressIds(): readonly number[] {
    return this.parts.generation?.suppressIds ?? [];
  }

  /** Frees the model's memory, and closes the GPU if it is the model's own. */
  close(): void {
    if (this.parts.ownsGpu) return this.gpu.close();
    for (const pass of [this.#forward, this.#scoring, this.#head, this.#next]) pass?.destroy();
    this.parameters.destroy();
  }

  /** Calls share plans and their memory: each waits for the one before it. */
  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#lastCall.then(call);
    this.#lastCall = result.catch(() => {});
    return result;
  }

  async *#logitsOf(hidden: Tensor, rows: readonly number[]): AsyncGenerator<Float32Array> {
    this.#head ??= await HeadPass.plan(this.gpu, this.parameters, HEAD_ROWS);
    yield* this.#head.logitsOf(hidden, rows);
  }

  async #hidden(inputIds: readonly (readonly number[])[]): Promise<Tensor> {
    checkSequences(this.config, inputIds);
    const { plan, hidden } = await this.#forward.holding(this.gpu, inputIds);
    plan.run();
    return hidden;
  }

  async #planNext(room: NextTokenRoom): Promise<NextTokenPass> {
    if (this.#next && isRoomEnough(this.#next.room, room)) return this.#next;
    this.#next?.destroy();
    this.#next = undefined; // should there be no memory for the other
    return this.#next = await NextTokenPass.plan(this.gpu, this.parameters, room);
  }
}

function countTokens(sequences: readonly (readonly number[])[]): number {
  return sequences.reduce((sum, { length }) => sum + length, 0);
}

/** Whether a plan does for what is wanted: building another takes longer than some padding. */
function isRoomEnough(plan: NextTokenRoom, wanted: NextTokenRoom): boolean {
  return plan.choices === wanted.choices && plan.prefix === wanted.prefix &&
    plan.sequences >= wanted.sequences &&
    plan.tokens >= wanted.tokens && plan.tokens <= MOST_PADDING * wanted.tokens;
}
