import type { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { requireFinite } from "../finite.ts";
import type { Parameters } from "../network/parameters.ts";
import { Decoder, type DecoderRow } from "./decoder.ts";
import { type ChoiceNeeds, isGreedy, type NextToken } from "./next-tokens.ts";
import type { SamplingOptions } from "./sampling.ts";

/** A text that is to be continued. */
export interface Prompt {
  /** Its token ids. */
  readonly ids: readonly number[];
  /** The most tokens to add, at least 1. */
  readonly maxTokens: number;
  /** How its tokens are chosen. Ids to suppress are the whole batch's. */
  readonly sampling: SamplingOptions;
  /** What draws them. */
  readonly random: Random;
  /** Tokens that end the text, themselves left out. */
  readonly stopIds: ReadonlySet<number>;
  /** Whether the logits of each token are asked for too. */
  readonly wantsLogits?: boolean;
}

/** A step of one text. */
export interface TextStep<Text extends Prompt = Prompt> {
  readonly text: Text;
  /** The token; absent where a stop token has ended the text. */
  readonly token?: NextToken;
  /** Why this is the text's last step, if it is. */
  readonly end?: "stop" | "length";
}

/** How many texts a batch holds at once, and of how many tokens, prompts included. */
export interface BatchRoom {
  readonly texts: number;
  readonly capacity: number;
}

/** A text with its seat. */
interface Running<Text extends Prompt> extends DecoderRow {
  readonly text: Text;
  /** Its last token. */
  last: number;
  /** How many tokens may still be added. */
  left: number;
}

/** A pass that has been started, with the texts that were in it. */
interface StartedPass<Text extends Prompt> {
  readonly rows: readonly Running<Text>[];
  readonly tokens: Promise<NextToken[]>;
}

/**
 * Texts that are continued together, a token a step. Between any two steps, texts may join and leave;
 * none changes another's tokens. One step costs hardly more than that of one text.
 *
 * Its methods are called one after another: each is awaited before the next one.
 */
export class RunningBatch<Text extends Prompt = Prompt> {
  #running: Running<Text>[] = [];
  readonly #free: number[];
  /** Started before the tokens of the pass before it were known. */
  #ahead?: StartedPass<Text>;

  private constructor(private readonly decoder: Decoder) {
    this.#free = Array.from({ length: decoder.seats }, (_, seat) => seat).reverse();
  }

  /** Allocates memory for a batch. @throws UserError if there is too little */
  static async open<Text extends Prompt>(
    gpu: Gpu,
    parameters: Parameters,
    { texts, capacity }: BatchRoom,
    needs: ChoiceNeeds,
  ): Promise<RunningBatch<Text>> {
    return new RunningBatch(await Decoder.plan(gpu, parameters, texts, capacity, needs));
  }

  /** How many texts are being continued. */
  get size(): number {
    return this.#running.length;
  }

  /** How many more may join. */
  get room(): number {
    return this.#free.length;
  }

  /**
   * Reads the prompts of texts, which are then part of the batch: no more than there is room for.
   *
   * @returns the first token of each
   * @throws UserError if the model's numbers are not finite; the texts are then not in the batch
   */
  async join(texts: readonly Text[]): Promise<TextStep<Text>[]> {
    const rows = texts.map((text): Running<Text> => ({
      ...{ text, seat: this.#free.pop()!, sampling: text.sampling, random: text.random },
      ...{ wantsLogits: text.wantsLogits, last: 0, left: text.maxTokens },
    }));
    this.#running = [...this.#running, ...rows];
    try {
      await this.decoder.prefill(rows, texts.map(({ ids }) => ids));
      const [tokens] = await Promise.all([
        this.decoder.choose(rows),
        this.decoder.logits(rows.length).then((logits) => logits.forEach(requireFinite)),
      ]);
      return this.#take({ rows, tokens: Promise.resolve(tokens) });
    } catch (error) {
      for (const { text } of rows) this.leave(text);
      throw error;
    }
  }

  /** Adds a token to each text. */
  async step(): Promise<TextStep<Text>[]> {
    const pass = this.#ahead ?? await this.#start();
    this.#ahead = undefined;
    // The next pass can start before the host knows what the GPU has chosen.
    const isKnown = pass.rows.every(({ sampling }) => isGreedy(sampling));
    const goesOn = pass.rows.some(({ left }) => left > 1);
    if (isKnown && goesOn && this.#holds(pass.rows)) this.#ahead = await this.#start("chosen");
    return await this.#take(pass);
  }

  /** Takes a text out; what is being computed for it is of no account. */
  leave(text: Text): void {
    const row = this.#running.find((row) => row.text === text);
    if (!row) return;
    this.#running = this.#running.filter((other) => other !== row);
    this.#free.push(row.seat);
  }

  /** Frees its memory, when nothing is being computed any more. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#ahead?.tokens]); // nothing is being read once this is over
    this.decoder.destroy();
  }

  /** @param ids where the texts' last tokens are: `chosen` if they are still on the GPU alone */
  async #start(ids?: "chosen"): Promise<StartedPass<Text>> {
    const rows = this.#running;
    await this.decoder.step(rows, ids ? undefined : rows.map(({ last }) => last));
    const tokens = this.decoder.choose(rows);
    tokens.catch(() => {}); // thrown where they are awaited, which may be much later
    return { rows, tokens };
  }

  /** Whether these are the batch's texts, in their order. */
  #holds(rows: readonly Running<Text>[]): boolean {
    return rows.length === this.size && rows.every((row, i) => row === this.#running[i]);
  }

  /** The tokens of a pass, as soon as they are known, of the texts that have not left meanwhile. */
  async #take({ rows, tokens }: StartedPass<Text>): Promise<TextStep<Text>[]> {
    const chosen = await tokens;
    return rows.flatMap((row, i) => {
      if (!this.#running.includes(row)) return [];
      const token = chosen[i];
      row.last = token.id;
      row.left--;
      const isStopped = row.text.stopIds.has(token.id);
      const end = isStopped ? "stop" : row.left === 0 ? "length" : undefined;
      if (end) this.leave(row.text);
      return [{ text: row.text, token: isStopped ? undefined : token, end }];
    });
  }
}
