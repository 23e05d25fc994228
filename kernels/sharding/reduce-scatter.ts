import type { Communicator } from "../ranks/communicator.ts";
import type { Capabilities, Gpu } from "../runtime/device.ts";
import { Graph, type Tensor } from "../runtime/graph.ts";
import { Draft, type Plan } from "../runtime/plan.ts";
import type { ComputationInParts } from "./computation-in-parts.ts";
import { addInOrder, packSection, partWords } from "./packing.ts";
import {
  type Chunk,
  chunksOf,
  type ExchangeFormat,
  gradientType,
  type ShardPiece,
} from "./shards.ts";
import { DEPTH, type Staging } from "./staging.ts";

/** The tensors of words that all exchanges of a rank use in turns. */
export interface ExchangeWords {
  /** [chunk] u32: what is packed to be given. */
  readonly outgoing: Tensor;
  /** [ranks - 1, chunk] u32: what was taken. */
  readonly incoming: Tensor;
}

/** The first and the last dispatch of a micro-batch that touch a storage. */
export type MicroBatchUses = Pick<Draft, "firstUse" | "lastUse">;

/** Bytes that a rank's GPU copies in an exchange: out to the host, and from where the host puts them. */
export interface Traffic {
  /** Bytes out. */
  readonly out: number;
  /** Bytes in. */
  readonly in: number;
}

/** A chunk of gradients. */
interface Summand {
  readonly chunk: Chunk;
  /** The dispatch of the micro-batch after which its gradients are complete, plus 1. */
  readonly ready: number;
  /** The dispatch after the last that packs it, or adds it up. */
  readonly end: number;
}

/**
 * Adds up every rank's gradients at the rank that updates the weights, in the order of ranks, and
 * sets them to zero elsewhere (ZeRO's stage 2: Rajbhandari et al., arXiv 1910.02054).
 */
export class ReduceScatter {
  /** What it needs of memory. */
  readonly drafts: readonly Draft[];
  /** Other ranks' chunks, as they are given. */
  readonly #packed: (Summand & { to: number })[] = [];
  /** Own chunks, as they are taken from all others. */
  readonly #added: Summand[] = [];
  #plans: readonly Plan[] = [];

  /**
   * Records it.
   *
   * @param shards the pieces of every rank; their tensors have gradients
   * @param capacity words of a chunk
   * @param microBatch where a micro-batch uses which memory
   */
  constructor(
    capabilities: Capabilities,
    private readonly ranks: Communicator,
    shards: readonly (readonly ShardPiece[])[],
    format: ExchangeFormat,
    private readonly words: ExchangeWords,
    capacity: number,
    microBatch: MicroBatchUses,
  ) {
    const { rank, size } = ranks;
    // The last layers' gradients are complete first.
    const chunks = shards.map((pieces) =>
      chunksOf(pieces.toReversed(), capacity, (piece) => gradientType(piece, format))
    );
    const readyOf = ({ sections }: Chunk) =>
      1 + Math.max(...sections.map(({ tensor }) => microBatch.lastUse(tensor.gradient!.storage)));
    const packing = new Graph(capabilities);
    const longest = Math.max(...chunks.map(({ length }) => length));
    for (let turn = 0; turn < longest; turn++) {
      for (let distance = 1; distance < size; distance++) {
        const to = (rank + distance) % size;
        const chunk = chunks[to][turn];
        if (chunk === undefined) continue;
        for (const section of chunk.sections) {
          packSection(packing, section, section.tensor.gradient!, words.outgoing);
        }
        const end = packing.dispatches.length;
        this.#packed.push({ chunk, to, ready: readyOf(chunk), end });
      }
    }
    const adding = new Graph(capabilities);
    for (const chunk of chunks[rank]) {
      for (const section of chunk.sections) {
        addInOrder(adding, section, section.tensor.gradient!, words.incoming, ranks);
      }
      this.#added.push({ chunk, ready: readyOf(chunk), end: adding.dispatches.length });
    }
    this.drafts = [new Draft(packing), new Draft(adding)];
  }

  /** See {@linkcode Traffic}. */
  get traffic(): Traffic {
    const given = this.#packed.map(({ chunk }) => chunk.words);
    const taken = this.#added.map(({ chunk }) => chunk.words * (this.ranks.size - 1));
    return { out: 4 * sum(given), in: 4 * sum(taken) };
  }

  /** Builds its pipelines. @throws UserError when the device has too little memory */
  async build(gpu: Gpu): Promise<void> {
    const [packing, adding] = this.drafts;
    this.#plans = [await packing.build(gpu), await adding.build(gpu)];
  }

  /**
   * Runs it once; all ranks call it.
   *
   * @param last the micro-batch whose gradients are the last to be added up; all of it is submitted in
   *   the end. Left out, nothing is to be waited for but what was submitted before.
   */
  async run(gpu: Gpu, staging: Staging, last?: ComputationInParts): Promise<void> {
    await Promise.all([this.#give(gpu, staging, last), this.#take(gpu, staging, last)]);
  }

  /** Frees what it alone uses. */
  destroy(): void {
    for (const plan of this.#plans) plan.destroy();
  }

  async #give(gpu: Gpu, staging: Staging, last?: ComputationInParts): Promise<void> {
    const [plan] = this.#plans;
    const complete = Math.max(...this.#packed.map(({ ready }) => ready));
    const early = this.#packed.filter(({ ready }) => ready < complete).length;
    let begin = 0;
    for (const [turn, { chunk, to, ready, end }] of this.#packed.entries()) {
      last?.upTo(ready);
      // The head's gradients are many chunks: the GPU computes on while buffers become free for them.
      if (turn >= DEPTH && turn < early) last?.share(early - turn);
      const buffer = await staging.next();
      const encoder = gpu.device.createCommandEncoder();
      plan.encodeRange(encoder, begin, end);
      const { outgoing } = this.words;
      encoder.copyBufferToBuffer(outgoing.storage.buffer!, 0, buffer, 0, 4 * chunk.words);
      submit(gpu, encoder);
      staging.give(chunk.words, [to]);
      begin = end;
    }
    last?.finish();
    await staging.allGiven();
  }

  async #take(gpu: Gpu, staging: Staging, last?: ComputationInParts): Promise<void> {
    const [, plan] = this.#plans;
    const { rank, size } = this.ranks;
    const others = Array.from({ length: size }, (_, of) => of).filter((of) => of !== rank);
    const rounds = this.#added.map(({ chunk: { words } }) =>
      others.map((from) => ({ from, words }))
    );
    let [round, begin] = [0, 0];
    for await (const buffers of staging.taken(rounds)) {
      const { chunk, ready, end } = this.#added[round++];
      last?.upTo(ready); // others may have been faster
      const encoder = gpu.device.createCommandEncoder();
      for (const section of chunk.sections) {
        buffers.forEach((buffer, part) => {
          const place = section.word * others.length + part * partWords(section);
          const { buffer: incoming } = this.words.incoming.storage;
          encoder.copyBufferToBuffer(
            buffer,
            4 * section.word,
            incoming!,
            4 * place,
            4 * section.words,
          );
        });
      }
      plan.encodeRange(encoder, begin, end);
      submit(gpu, encoder);
      begin = end;
    }
  }
}

/** The sum of some numbers. */
export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Submits what was recorded. */
export function submit(gpu: Gpu, encoder: GPUCommandEncoder): void {
  gpu.check();
  gpu.device.queue.submit([encoder.finish()]);
}
