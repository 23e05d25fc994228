import type { Communicator } from "../ranks/communicator.ts";
import type { Capabilities, Gpu } from "../runtime/device.ts";
import { Graph, type Tensor } from "../runtime/graph.ts";
import { Draft, type Plan } from "../runtime/plan.ts";
import { bytesOf } from "../runtime/storage.ts";
import { addUpdate, fillHalf, packSection } from "./packing.ts";
import { type ExchangeWords, submit } from "./reduce-scatter.ts";
import {
  type Chunk,
  type ChunkSection,
  chunksOf,
  type ExchangeFormat,
  type ShardPiece,
  weightType,
} from "./shards.ts";
import type { Staging } from "./staging.ts";

/** A chunk, and the dispatch after the last that it needs. */
interface Travelling {
  readonly chunk: Chunk;
  readonly end: number;
}

/**
 * Brings the weights that each rank has updated to all others. Where weights travel as updates in
 * bf16, `adamW` has left the update in the gradient.
 */
export class AllGather {
  /** What it needs of memory. */
  readonly drafts: readonly Draft[];
  readonly #given: Travelling[] = [];
  /** By round: a chunk of each rank that has one left. */
  readonly #taken: (Travelling & { from: number })[][] = [];
  #plans: readonly Plan[] = [];

  /**
   * Records it.
   *
   * @param shards the pieces of every rank
   * @param capacity words of a chunk
   * @param isWhole whether every rank keeps a tensor whole in f32
   */
  constructor(
    capabilities: Capabilities,
    private readonly ranks: Communicator,
    shards: readonly (readonly ShardPiece[])[],
    format: ExchangeFormat,
    private readonly words: ExchangeWords,
    private readonly capacity: number,
    isWhole: (tensor: Tensor) => boolean,
  ) {
    const { rank } = ranks;
    const chunks = shards.map((pieces) =>
      chunksOf(pieces, capacity, (piece) => weightType(piece, format, isWhole))
    );
    const packing = new Graph(capabilities);
    for (const chunk of chunks[rank]) {
      for (const section of chunk.sections.filter(isUpdate)) {
        packSection(packing, section, section.tensor.gradient!, words.outgoing);
      }
      this.#given.push({ chunk, end: packing.dispatches.length });
    }
    const adding = new Graph(capabilities);
    const longest = Math.max(...chunks.map(({ length }) => length));
    for (let round = 0; round < longest; round++) {
      this.#taken[round] = [];
      for (const [from, { [round]: chunk }] of chunks.entries()) {
        if (from === rank || chunk === undefined) continue;
        const first = this.#taken[round].length * capacity;
        for (const section of chunk.sections) {
          const { tensor } = section;
          if (isUpdate(section)) addUpdate(adding, section, tensor, words.incoming, first);
          if (section.type !== "f16" && tensor.half) fillHalf(adding, section);
        }
        this.#taken[round].push({ chunk, from, end: adding.dispatches.length });
      }
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
    const others = Array.from({ length: this.ranks.size }, (_, of) => of)
      .filter((of) => of !== this.ranks.rank);
    let begin = 0;
    for (const { chunk, end } of this.#given) {
      const buffer = await staging.next();
      const encoder = gpu.device.createCommandEncoder();
      if (end > begin) plan.encodeRange(encoder, begin, end);
      for (const section of chunk.sections) {
        const source = this.#sourceOf(section);
        encoder.copyBufferToBuffer(
          source.buffer,
          source.offset,
          buffer,
          4 * section.word,
          4 * section.words,
        );
      }
      submit(gpu, encoder);
      staging.give(chunk.words, others);
      begin = end;
    }
    await staging.allGiven();
  }

  async #take(gpu: Gpu, staging: Staging, plan: Plan): Promise<void> {
    const rounds = this.#taken.map((round) =>
      round.map(({ from, chunk: { words } }) => ({ from, words }))
    );
    let [round, begin] = [0, 0];
    for await (const buffers of staging.taken(rounds)) {
      const travelling = this.#taken[round++];
      const encoder = gpu.device.createCommandEncoder();
      travelling.forEach(({ chunk }, part) => {
        for (const section of chunk.sections) {
          const target = this.#targetOf(section, part);
          encoder.copyBufferToBuffer(
            buffers[part],
            4 * section.word,
            target.buffer,
            target.offset,
            4 * section.words,
          );
        }
      });
      const end = travelling.at(-1)?.end ?? begin;
      if (end > begin) plan.encodeRange(encoder, begin, end);
      submit(gpu, encoder);
      begin = end;
    }
  }

  /** Where this rank's own section is to be given from. */
  #sourceOf(section: ChunkSection): Place {
    if (!isUpdate(section)) return weightsOf(section);
    return { buffer: this.words.outgoing.storage.buffer!, offset: 4 * section.word };
  }

  /** Where another rank's section is to be taken to. */
  #targetOf(section: ChunkSection, part: number): Place {
    if (!isUpdate(section)) return weightsOf(section);
    const word = part * this.capacity + section.word;
    return { buffer: this.words.incoming.storage.buffer!, offset: 4 * word };
  }
}

/** A place on the GPU; the offset is in bytes. */
interface Place {
  readonly buffer: GPUBuffer;
  readonly offset: number;
}

function isUpdate({ type }: ChunkSection): boolean {
  return type === "bf16";
}

/** Where the network reads the weights of a section. */
function weightsOf({ tensor, first, type }: ChunkSection): Place {
  const weights = type === "f16" ? tensor.half! : tensor;
  return { buffer: weights.storage.buffer!, offset: first * bytesOf[weights.dtype] };
}
