import type { Gpu } from "../../kernels/runtime/device.ts";
import { gatherRows } from "../../kernels/decoding/gather-rows.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { attendToCache, storeInCache } from "../../kernels/decoding/key-value-cache.ts";
import { NO_SEQUENCE } from "../../kernels/layers/sequences.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import { attendInside } from "../network/attention/attention.ts";
import { type Batch, batchInputs, uploadBatch } from "../network/batch.ts";
import { logitsOf, transformer } from "../network/transformer.ts";
import {
  type ChoiceNeeds,
  type ChoosingRow,
  needsOf,
  NextTokens,
  type RowSeats,
} from "./next-tokens.ts";
import type { Parameters } from "../network/parameters.ts";
import { roomForSequences, roomForTokens } from "./plan-sizes.ts";

/** A planned pass over new tokens of some texts; it computes the logits of the tokens after them. */
interface Pass {
  readonly batch: Batch;
  readonly seats: RowSeats;
  /** [rows] u32: of the pass's tokens, the last one of each text. */
  readonly lastRows: Tensor;
  readonly plan: Plan;
}

/** A text that a pass continues. */
export interface DecoderRow extends ChoosingRow {
  /** Its place in the cache. */
  readonly seat: number;
}

/**
 * Up to so many rows, every kernel adds a row's numbers in the same order, whatever their number:
 * the matrix products of a GPU are then those for few rows.
 */
const ROWS_THAT_AGREE = 32;

/** A pass over prompts with more tokens takes too much memory to be kept for the next prompts. */
const KEPT_TOKENS = 512;

/**
 * Decoding with a cache of keys and values, as in Hugging Face's transformers: one forward pass reads
 * the prompts; then each new token passes the network alone, so that a Soft MoE's dispatch sees only
 * that token.
 *
 * Each text has a seat in the cache. Which texts a pass continues is said anew each time: they may
 * leave, and others take their seats, between any two passes. What is in one step with a text changes
 * no bit of its logits. On a GPU, prompts that are read in one pass may change each other's last
 * digits, as their matrix products have more rows: where that matters, each is read alone.
 */
export class Decoder {
  /** Tokens of each seat's text. */
  readonly #lengths: number[];
  /** By their room for tokens and texts. */
  readonly #reading = new Map<string, Pass>();
  /** By their rows. */
  readonly #adding = new Map<number, Pass>();
  /** The next step, encoded while the GPU computes the one before, and its pass. */
  #encoded?: { readonly pass: Pass; readonly commands: GPUCommandBuffer };

  private constructor(
    private readonly gpu: Gpu,
    private readonly parameters: Parameters,
    /** One a layer: [texts, capacity, 2 · keyValueHeads · headDim]. */
    private readonly caches: readonly Tensor[],
    /** What feed-forward layers keep of each text, [texts, ...], of those that do. */
    private readonly memories: readonly (Tensor | undefined)[],
    private readonly next: NextTokens,
  ) {
    this.#lengths = Array(this.seats).fill(0);
  }

  /**
   * Allocates what decoding `texts` texts of at most `capacity` tokens each takes, prompts included.
   *
   * @param needs what the texts may ask for; nothing but likeliest tokens when left out
   */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    texts: number,
    capacity: number,
    needs: ChoiceNeeds = needsOf({}),
  ): Promise<Decoder> {
    const { config } = parameters;
    const caches = config.layers.map(({ attention: { keyValueHeads, headDim } }, layer) =>
      persistent("cache", `cache ${layer}`, [texts, capacity, 2 * keyValueHeads * headDim])
    );
    const memories = config.layers.map(({ feedForward: { memory } }, layer) =>
      memory && persistent("cache", `memory ${layer}`, [texts, ...memory])
    );
    const kept = [...caches, ...memories.filter((memory) => memory !== undefined)];
    try {
      await allocate(gpu, kept.map(({ storage }) => storage));
      const room = { seats: texts, rows: roomForSequences(texts) };
      const next = await NextTokens.allocate(gpu, room, config.vocabSize, needs);
      return new Decoder(gpu, parameters, caches, memories, next);
    } catch (error) {
      free(kept);
      throw error;
    }
  }

  /** How many texts there is room for. */
  get seats(): number {
    return this.caches[0].shape[0];
  }

  /** How many tokens a text may have, its prompt included. */
  get capacity(): number {
    return Math.min(this.caches[0].shape[1], this.parameters.config.maxPositions);
  }

  /**
   * Starts reading prompts into the seats of their texts, which may have been others' before.
   *
   * @param rows the texts
   * @param prompts one for each of them
   */
  async prefill(
    rows: readonly DecoderRow[],
    prompts: readonly (readonly number[])[],
  ): Promise<void> {
    const { gpu } = this;
    const tokens = roomForTokens(prompts.reduce((sum, { length }) => sum + length, 0));
    const texts = roomForSequences(prompts.length);
    const isKept = tokens <= KEPT_TOKENS;
    const pass = this.#reading.get(`${tokens} ${texts}`) ?? await this.#planReading(tokens, texts);
    if (isKept) this.#reading.set(`${tokens} ${texts}`, pass);
    uploadBatch(gpu, pass.batch, prompts);
    const ofTokens = new Uint32Array(pass.batch.ids.size).fill(NO_SEQUENCE);
    let end = 0;
    prompts.forEach(({ length }, i) => ofTokens.fill(rows[i].seat, end, end += length));
    end = 0;
    upload(gpu, pass.lastRows, Uint32Array.from(prompts, ({ length }) => (end += length) - 1));
    upload(gpu, pass.seats.ofTokens, ofTokens);
    upload(gpu, pass.seats.ofRows, seatsOf(rows, pass.lastRows.size));
    this.next.prepare(rows);
    pass.plan.run();
    if (!isKept) pass.plan.destroy();
    rows.forEach(({ seat }, i) => this.#lengths[seat] = prompts[i].length);
  }

  /**
   * Starts adding a token to each text. In a text that is full, the last token is replaced.
   *
   * @param rows the texts
   * @param ids their tokens; those that were chosen for the same rows when left out
   */
  async step(rows: readonly DecoderRow[], ids?: readonly number[]): Promise<void> {
    const { gpu } = this;
    const pass = await this.#passOf(rows.length);
    const { batch, seats, plan } = pass;
    const places = new Uint32Array(batch.ids.size);
    rows.forEach(({ seat }, row) => {
      places[row] = Math.min(this.#lengths[seat]++, this.capacity - 1);
    });
    if (ids) upload(gpu, this.next.ids, Uint32Array.from(ids));
    upload(gpu, batch.positions, places);
    upload(gpu, seats.ofRows, seatsOf(rows, batch.ids.size));
    this.next.prepare(rows);
    plan.submit(this.#encoded?.pass === pass ? this.#encoded.commands : plan.encode());
    this.#encoded = { pass, commands: plan.encode() };
  }

  /** The pass that adds a token to `texts` texts, with as few idle rows as may be. */
  async #passOf(texts: number): Promise<Pass> {
    const most = this.seats;
    const rows = most > ROWS_THAT_AGREE ? most : Math.min(roomForSequences(texts), most);
    const known = this.#adding.get(rows);
    if (known) return known;
    const pass = await this.#planStep(rows);
    // Only ids, places and seats change from step to step.
    uploadBatch(this.gpu, pass.batch, Array(rows).fill([0]));
    upload(this.gpu, pass.lastRows, Uint32Array.from({ length: rows }, (_, row) => row));
    this.#adding.set(rows, pass);
    return pass;
  }

  /** Plans the reading of prompts: tokens attend to those of their own text. */
  async #planReading(tokens: number, texts: number): Promise<Pass> {
    const graph = this.#graph();
    const seats = {
      ofTokens: graph.input("seats of tokens", [tokens], "u32"),
      ofRows: graph.input("seats of rows", [texts], "u32"),
    };
    const memories = this.#memoriesOf(seats, { continues: false });
    const batch = { ...batchInputs(graph, tokens, texts), memories };
    const hidden = transformer(batch, this.parameters, (queryKeyValue, attention, layer) => {
      storeInCache(queryKeyValue, this.caches[layer], seats.ofTokens, batch.positions, attention);
      return attendInside(batch.sequences, queryKeyValue, attention);
    });
    return await this.#planPass(hidden, batch, seats, { first: true });
  }

  /** Plans a step: one token of each text, which attends to what the cache holds. */
  async #planStep(rows: number): Promise<Pass> {
    const graph = this.#graph();
    const ofRows = graph.input("seats of rows", [rows], "u32");
    const memories = this.#memoriesOf({ ofRows }, { continues: true });
    const ids = this.next.idsIn(graph, rows);
    const batch = { ...batchInputs(graph, rows, rows, 1), ids, memories };
    const { positions } = batch;
    const hidden = transformer(batch, this.parameters, (queryKeyValue, attention, layer) => {
      const cache = this.caches[layer];
      storeInCache(queryKeyValue, cache, ofRows, positions, attention);
      return attendToCache(queryKeyValue, cache, ofRows, positions, attention, attention.window);
    });
    return await this.#planPass(hidden, batch, { ofTokens: ofRows, ofRows }, { first: false });
  }

  /** What each layer keeps, for a pass that goes on with texts or begins them. */
  #memoriesOf({ ofRows }: Pick<RowSeats, "ofRows">, which: { continues: boolean }) {
    return this.memories.map((sums) => sums && { sums, seats: ofRows, ...which });
  }

  #graph(): Graph {
    return new Graph(this.gpu.capabilities, { mixed: this.parameters.mixed });
  }

  async #planPass(
    hidden: Tensor,
    batch: Batch,
    seats: RowSeats,
    which: { first: boolean },
  ): Promise<Pass> {
    const { graph } = hidden;
    const lastRows = graph.input("last rows", [seats.ofRows.size], "u32");
    const logits = logitsOf(gatherRows(hidden, lastRows), this.parameters.head);
    this.next.record(logits, graph.overwritten(batch.ids), seats, which);
    return { batch, seats, lastRows, plan: await new Draft(graph).build(this.gpu) };
  }

  /** Chooses the next token of each text of the last pass; the next pass may begin before it is known. */
  choose(rows: readonly DecoderRow[]): ReturnType<NextTokens["choose"]> {
    return this.next.choose(rows);
  }

  /** Logits of the next tokens of the last pass's first `rows` texts, [rows][vocabulary]. */
  logits(rows: number): Promise<Float32Array[]> {
    return this.next.logits(rows);
  }

  /** Frees its memory. */
  destroy(): void {
    for (const { plan } of [...this.#adding.values(), ...this.#reading.values()]) plan.destroy();
    this.next.destroy();
    free([...this.caches, ...this.memories]);
  }
}

function free(tensors: readonly (Tensor | undefined)[]): void {
  for (const tensor of tensors) tensor?.storage.buffer?.destroy();
}

/** The seats of a pass's rows; idle rows have none. */
function seatsOf(rows: readonly DecoderRow[], count: number): Uint32Array<ArrayBuffer> {
  const seats = new Uint32Array(count).fill(NO_SEQUENCE);
  rows.forEach(({ seat }, row) => seats[row] = seat);
  return seats;
}
