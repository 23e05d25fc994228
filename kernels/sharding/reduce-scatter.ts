import type { Communicator } from "../ranks/communicator.ts";
import type { Capabilities, Gpu } from "../runtime/device.ts";
import { Graph, type Tensor } from "../runtime/graph.ts";
import { Draft, encode, type Plan } from "../runtime/plan.ts";
import { addInOrder, packSection, partWords } from "./packing.ts";
import {
  type Chunk,
  chunksOf,
  type ExchangeFormat,
  gradientType,
  type ShardPiece,
} from "./shards.ts";
import type { Staging } from "./staging.ts";

/** The tensors of words that all exchanges of a rank use in turns. */
export interface ExchangeWords {
  /** [chunk] u32: what is packed to be given. */
  readonly outgoing: Tensor;
  /** [ranks - 1, chunk] u32: what was taken. */
  readonly incoming: Tensor;
}

/** A chunk that is packed for the rank it belongs to. */
interface Packed {
  readonly chunk: Chunk;
  readonly to: number;
  /** The dispatch after its last one. */
  readonly end: number;
}

/**
 * Adds up every rank's gradients at the rank that updates the weights, in the order of ranks, and
 * sets them to zero elsewhere (ZeRO's stage 2: Rajbhandari et al., arXiv 1910.02054).
 */
export class ReduceScatter {
  /** What it needs of memory. */
  readonly drafts: readonly Draft[];
  readonly #packed: Packed[] = [];
  /** Own chunks, and the dispatch after the last that adds each up. */
  readonly #added: { chunk: Chunk; end: number }[] = [];
  #plans: readonly Plan[] = [];

  /**
   * Records it.
   *
   * @param shards the pieces of every rank; their tensors have gradients
   * @param capacity words of a chunk
   */
  constructor(
    capabilities: Capabilities,
    private readonly ranks: Communicator,
    shards: readonly (readonly ShardPiece[])[],
    format: ExchangeFormat,
    private readonly words: ExchangeWords,
    capacity: number,
  ) {
    const { rank, size } = ranks;
    const chunks = shards.map((pieces) =>
      chunksOf(pieces, capacity, (piece) => gradientType(piece, format))
    );
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
        this.#packed.push({ chunk, to, end: packing.dispatches.length });
      }
    }
    const adding = new Graph(capabilities);
    for (const chunk of chunks[rank]) {
      for (const section of chunk.sections) {
        addInOrder(adding, section, section.tensor.gradient!, words.incoming, ranks);
      }
      this.#added.push({ chunk, end: adding.dispatches.length });
    }
    this.drafts = [new Draft(packing), new Draft(adding)];
  }

  /** Builds its pipelines. @throws UserError when the device has too little memory */
  async build(gpu: Gpu): Promise<void> {
    const [packing, adding] = this.drafts;
    this.#plans = [await packing.build(gpu), await adding.build(gpu)];
  }

  /** Runs it once, after what was submitted before; all ranks call it. */
  async run(gpu: Gpu, staging: Staging): Promise<void> {
    const [packing, adding] = this.#plans;
    await Promise.all([this.#give(gpu, staging, packing), this.#take(gpu, staging, adding)]);
  }

  /** Frees what it alone uses. */
  destroy(): void {
    for (const plan of this.#plans) plan.destroy();
  }

  async #give(gpu: Gpu, staging: Staging, plan: Plan): Promise<void> {
    let begin = 0;
    for (const { chunk, to, end } of this.#packed) {
      const buffer = await staging.next();
      const encoder = gpu.device.createCommandEncoder();
      encodeRange(encoder, plan, begin, end);
      const { outgoing } = this.words;
      encoder.copyBufferToBuffer(outgoing.storage.buffer!, 0, buffer, 0, 4 * chunk.words);
      submit(gpu, encoder);
      staging.give(chunk.words, [to]);
      begin = end;
    }
    await staging.allGiven();
  }

  async #take(gpu: Gpu, staging: Staging, plan: Plan): Promise<void> {
    const { rank, size } = this.ranks;
    const others = Array.from({ length: size }, (_, of) => of).filter((of) => of !== rank);
    const rounds = this.#added.map(({ chunk: { words } }) =>
      others.map((from) => ({ from, words }))
    );
    let [round, begin] = [0, 0];
    for await (const buffers of staging.taken(rounds)) {
      const { chunk, end } = this.#added[round++];
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
      encodeRange(encoder, plan, begin, end);
      submit(gpu, encoder);
      begin = end;
    }
  }
}

/** Records some of a plan's dispatches. */
export function encodeRange(
  encoder: GPUCommandEncoder,
  plan: Plan,
  begin: number,
  end: number,
): void {
  if (begin === end) return;
  const pass = encoder.beginComputePass();
  for (const dispatch of plan.dispatches.slice(begin, end)) encode(pass, dispatch);
  pass.end();
}

/** Submits what was recorded. */
export function submit(gpu: Gpu, encoder: GPUCommandEncoder): void {
  gpu.check();
  gpu.device.queue.submit([encoder.finish()]);
}
