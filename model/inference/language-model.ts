import { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { download } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { GenerationConfig } from "../checkpoint/generation-config.ts";
import { isCausal, type ModelConfig } from "../network/config.ts";
import { uploadLabels } from "../network/labels.ts";
import { requireFinite } from "../finite.ts";
import type { Parameters } from "../network/parameters.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type BatchLimits, inBatches, textsAtOnce, tokensAtOnce } from "./batches.ts";
import {
  checkBatch,
  checkChoices,
  checkGeneration,
  checkLabels,
  checkPrompts,
  checkSequences,
} from "./check-inputs.ts";
import { ChoiceScorer } from "./choice-scorer.ts";
import { continueTexts } from "./continue-texts.ts";
import { decodedLogProbs } from "./decoded-log-probs.ts";
import { HeadPass, planForward, planScoring } from "./forward-pass.ts";
import type { Prompt } from "./running-batch.ts";
import type { SamplingOptions } from "./sampling.ts";
import { SizedPass } from "./sized-pass.ts";

/** What a model may have beside its parameters. */
export interface ModelParts {
  /** Turns text into token ids and back; without one, the model reads and writes ids only. */
  tokenizer?: Tokenizer;
  /** What the checkpoint says of generation. */
  generation?: GenerationConfig;
  /** Whether closing the model closes its GPU; if not, that only frees the model's memory. */
  ownsGpu?: boolean;
}

/** How a text is continued. */
export interface GenerateOptions extends SamplingOptions {
  /** The most tokens to add; 256 when left out. */
  maxTokens?: number;
  /** Tokens that end the text, themselves left out; those of the checkpoint when left out. */
  stopIds?: readonly number[];
  /** Makes random choices repeatable: a whole number from 0 to 2³² − 1. */
  seed?: number;
}

/** How several texts are continued. */
export interface GenerateManyOptions extends Omit<GenerateOptions, "seed"> {
  /** One seed for each prompt, or the same for all. */
  seed?: number | readonly number[];
  /** Most texts at once; as many as suit the device when left out. */
  batch?: number;
}

/** A token as it is generated. */
export interface GeneratedToken {
  /** The token's id. */
  readonly id: number;
  /** The text that it completes; empty in the middle of a character. */
  readonly text: string;
}

/** What was added to a prompt. */
export interface GeneratedText {
  /** The ids of the tokens that were added. */
  readonly ids: readonly number[];
  /** Their text; characters that are not complete are left out. */
  readonly text: string;
}

/** How the logits of a few tokens are computed. */
export interface ChoiceOptions {
  /** Compute once what all sequences begin with, if the model is causal; true when left out. */
  sharePrefix?: boolean;
  /** Most sequences at once; as many as suit the device when left out. */
  batch?: number;
  /** Called after each batch with the number of sequences of which the logits are known. */
  onScored?: (sequences: number) => void;
}

/** Rows that the head turns into whole logits at a time. */
const HEAD_ROWS = 64;

/** A model on a GPU, with its tokenizer. */
export class LanguageModel {
  readonly #forward = new SizedPass((tokens, sequences) =>
    planForward(this.gpu, this.parameters, tokens, sequences)
  );
  readonly #scoring = new SizedPass((tokens, sequences) =>
    planScoring(this.gpu, this.parameters, tokens, sequences)
  );
  readonly #choices: ChoiceScorer;
  #head?: HeadPass;
  #lastCall: Promise<unknown> = Promise.resolve();

  /**
   * Makes a model of parameters that are, or will be, on a GPU.
   *
   * @param gpu where the model computes
   * @param parameters its weights, in their present state
   * @param parts what it may have beside them
   */
  constructor(
    readonly gpu: Gpu,
    readonly parameters: Parameters,
    private readonly parts: ModelParts = {},
  ) {
    this.#choices = new ChoiceScorer(gpu, parameters);
  }

  /** What the model is made of. */
  get config(): ModelConfig {
    return this.parameters.config;
  }

  /** The checkpoint's tokenizer. @throws UserError if its folder holds none */
  get tokenizer(): Tokenizer {
    if (this.parts.tokenizer) return this.parts.tokenizer;
    throw new UserError("This checkpoint has no tokenizer: only token ids can be used with it.");
  }

  /** Ids that end a text: those of the checkpoint, and the tokenizer's own marks. */
  get stopIds(): number[] {
    const { tokenizer, generation } = this.parts;
    return [
      ...this.config.eosIds,
      ...generation?.eosIds ?? [],
      ...tokenizer?.stopIds ?? [],
    ];
  }

  /** Ids that are never chosen: those of an exported model that its training never saw. */
  get suppressIds(): readonly number[] {
    return this.parts.generation?.suppressIds ?? [];
  }

  /** Whether a beginning that several sequences share can be computed once for all of them. */
  get sharesPrefixes(): boolean {
    return isCausal(this.config) &&
      this.config.layers.every(({ attention, feedForward }) =>
        attention.window === undefined && feedForward.memory === undefined
      );
  }

  /** How many tokens of prompts suit the device at once. */
  get tokensAtOnce(): number {
    return tokensAtOnce(this.gpu);
  }

  /** How many texts suit the device at once when they are continued. */
  get textsAtOnce(): number {
    return textsAtOnce(this.gpu, this.config);
  }

  /**
   * Logits of every position.
   *
   * @param inputIds sequences of token ids; they may differ in length and never see each other
   * @returns [batch, longest, vocabulary] f32, zeros behind the end of shorter sequences
   * @throws UserError for sequences that the model cannot read
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
        requireFinite(logits);
        result.set(logits, places[row++]);
      }
      return result;
    });
  }

  /**
   * Logits of the token that would follow each sequence.
   *
   * @param inputIds sequences of token ids
   * @returns [batch][vocabulary] f32
   * @throws UserError for sequences that the model cannot read
   */
  nextLogits(inputIds: readonly (readonly number[])[]): Promise<Float32Array[]> {
    return this.#inTurn(async () => {
      const hidden = await this.#hidden(inputIds);
      let end = 0;
      const lastRows = inputIds.map(({ length }) => (end += length) - 1);
      const rows = await Array.fromAsync(this.#logitsOf(hidden, lastRows));
      rows.forEach(requireFinite);
      return rows;
    });
  }

  /**
   * Logits of a few tokens as the one that would follow each sequence, such as an exam's letters.
   * This is faster than {@linkcode nextLogits}, takes any number of sequences, and the next call may
   * be made before this one has answered.
   *
   * What all sequences begin with is computed once if the model is causal. A Soft MoE is not: it
   * mixes all tokens of a sequence, so that the beginning depends on what follows.
   *
   * @param inputIds sequences of token ids; what they are in one batch with changes nothing
   * @param choices ids of the tokens
   * @returns [sequences][choices]
   * @throws UserError for sequences or choices that the model cannot read
   */
  async choiceLogits(
    inputIds: readonly (readonly number[])[],
    choices: readonly number[],
    { sharePrefix = true, batch, onScored }: ChoiceOptions = {},
  ): Promise<number[][]> {
    const sharesPrefixes = sharePrefix && this.sharesPrefixes;
    const limits = { ...this.#limits(Infinity, batch), sharesPrefixes };
    const started = await this.#inTurn(async () => {
      checkSequences(this.config, inputIds);
      checkChoices(this.config, choices);
      const started: Promise<Float32Array[]>[] = [];
      let scored = 0;
      for (const some of inBatches(inputIds, (ids) => ids, limits)) {
        await started.at(-2); // the GPU has one batch to compute while another is read
        const { reading } = await this.#choices.start(some, choices, sharesPrefixes);
        const told = reading.then((logits) => {
          onScored?.(scored += some.length);
          return logits;
        });
        told.catch(() => {}); // thrown below
        started.push(told);
      }
      return started;
    });
    const logits = (await Promise.all(started)).flat();
    logits.forEach(requireFinite);
    return logits.map((row) => Array.from(row));
  }

  /**
   * Log-probabilities of labels, already aligned to the logits.
   *
   * @param inputIds sequences of token ids
   * @param labels as long as they; -100 is ignored
   * @returns [batch][sequence]: ln p, 0 where ignored
   * @throws UserError for sequences or labels that the model cannot read
   */
  logProbs(
    inputIds: readonly (readonly number[])[],
    labels: readonly (readonly number[])[],
  ): Promise<number[][]> {
    return this.#inTurn(async () => {
      checkSequences(this.config, inputIds);
      checkLabels(this.config, inputIds, labels);
      const pass = await this.#scoring.holding(this.gpu, inputIds);
      uploadLabels(this.gpu, pass.labels, labels);
      pass.plan.run();
      const values = await download(this.gpu, pass.logProbs);
      requireFinite(values.subarray(0, inputIds.reduce((sum, ids) => sum + ids.length, 0)));
      let start = 0;
      return inputIds.map(({ length }) => Array.from(values.subarray(start, start += length)));
    });
  }

  /**
   * The same as generation computes them: the first token of each sequence is its prompt, and every
   * later one passes the network alone, with the cache. A model that is causal gives what
   * {@linkcode logProbs} gives; of one that is not, these are what a reader of its texts would find.
   *
   * @param inputIds sequences of token ids
   * @param labels as long as they; -100 is ignored
   * @returns [batch][sequence]: ln p, 0 where ignored
   * @throws UserError for sequences or labels that the model cannot read
   */
  decodedLogProbs(
    inputIds: readonly (readonly number[])[],
    labels: readonly (readonly number[])[],
  ): Promise<number[][]> {
    return this.#inTurn(() => {
      checkSequences(this.config, inputIds);
      checkLabels(this.config, inputIds, labels);
      return decodedLogProbs(this.gpu, this.parameters, inputIds, labels);
    });
  }

  /**
   * Continues a prompt: one forward pass over it, then one token a step.
   *
   * @param prompt text, or token ids
   * @returns the tokens, each as soon as it is known
   * @throws UserError for a prompt or options that mean nothing
   */
  async *generate(
    prompt: string | readonly number[],
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken> {
    checkGeneration(options);
    const prompts = this.#prompts([prompt], options, [options.seed]);
    const text = this.#decodeStream(prompts[0]);
    for await (const [id] of this.#continue(prompts)) {
      if (id !== undefined) yield { id, text: text(id) };
    }
  }

  /**
   * Continues many prompts. Those of a batch go on together, which takes hardly longer than one of
   * them alone would; what a prompt is in one batch with does not change its text.
   *
   * @param prompts texts, or token ids; any number of them
   * @returns one text a prompt, equal to what {@linkcode generate} gives for it and its seed
   * @throws UserError for a prompt or options that mean nothing
   */
  generateMany(
    prompts: readonly (string | readonly number[])[],
    options: GenerateManyOptions = {},
  ): Promise<GeneratedText[]> {
    // In turn: each call takes memory for its keys and values.
    return this.#inTurn(async () => {
      const { seed, batch, ...shared } = options;
      const seeds = typeof seed === "object" ? seed : prompts.map(() => seed);
      if (seeds.length !== prompts.length) {
        throw new UserError(`There are ${prompts.length} prompts, but ${seeds.length} seeds.`);
      }
      for (const seed of seeds) checkGeneration({ ...shared, seed });
      const texts = this.#prompts(prompts, shared, seeds);
      const limits = this.#limits(this.textsAtOnce, batch);
      const generated: GeneratedText[] = [];
      for (const some of inBatches(texts, ({ ids }) => ids, limits)) {
        const added = some.map((): number[] => []);
        for await (const step of this.#continue(some)) {
          for (const [i, id] of step.entries()) if (id !== undefined) added[i].push(id);
        }
        for (const [i, ids] of added.entries()) {
          generated.push({ ids, text: ids.map(this.#decodeStream(some[i])).join("") });
        }
      }
      return generated;
    });
  }

  /** Frees the model's memory, and closes the GPU if it is the model's own. */
  close(): void {
    if (this.parts.ownsGpu) return this.gpu.close();
    this.#forward.destroy();
    this.#scoring.destroy();
    this.#choices.destroy();
    this.#head?.destroy();
    this.parameters.destroy();
  }

  /** Calls share plans and their memory: each waits for the one before it. */
  #inTurn<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#lastCall.then(call);
    this.#lastCall = result.catch(() => {});
    return result;
  }

  /** Of a batch that is asked for, or else of one that suits the device: at most `most` sequences. */
  #limits(most: number, batch?: number): BatchLimits {
    checkBatch(batch);
    return {
      sequences: batch ?? most,
      tokens: batch === undefined ? this.tokensAtOnce : Infinity,
      sharesPrefixes: false,
    };
  }

  /** Prompts with room for at least one more token each. */
  #prompts(
    prompts: readonly (string | readonly number[])[],
    { maxTokens = 256, stopIds = this.stopIds, ...sampling }: Omit<GenerateOptions, "seed">,
    seeds: readonly (number | undefined)[],
  ): Prompt[] {
    const texts = prompts.map((prompt) =>
      typeof prompt === "string" ? this.tokenizer.encodePrompt(prompt) : prompt
    );
    checkPrompts(this.config, texts);
    const shared = {
      stopIds: new Set(stopIds),
      sampling: { suppressIds: this.suppressIds, ...sampling },
    };
    return texts.map((ids, text) => ({
      ids,
      ...shared,
      maxTokens: Math.min(maxTokens, this.config.maxPositions - ids.length),
      random: new Random(seeds[text] ?? crypto.getRandomValues(new Uint32Array(1))[0]),
    }));
  }

  async *#continue(prompts: readonly Prompt[]): AsyncGenerator<(number | undefined)[]> {
    if (prompts.every(({ maxTokens }) => maxTokens === 0)) return;
    yield* continueTexts(this.gpu, this.parameters, prompts);
  }

  /** Turns a text's ids, one after another, into what each completes; without tokenizer nothing. */
  #decodeStream({ ids: after }: Prompt): (id: number) => string {
    const stream = this.parts.tokenizer?.createDecodeStream({ skipSpecial: true, after });
    return (id) => stream?.push(id) ?? "";
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
}
