import type { Communicator } from "../ranks/communicator.ts";
import type { Capabilities, Gpu } from "../runtime/device.ts";
import { Graph, type Tensor } from "../runtime/graph.ts";
import { Draft, type Plan } from "../runtime/plan.ts";
import { bytesOf } from "../runtime/storage.ts";
import type { ComputationInParts } from "./computation-in-parts.ts";
import { packAndApply } from "./eight-bits.ts";
import { addUpdate, fillHalf, packSection } from "./packing.ts";
import {
  type ExchangeWords,
  type MicroBatchUses,
  submit,
  sum,
  type Traffic,
} from "./reduce-scatter.ts";
import {
  type Chunk,
  type ChunkSection,
  chunksOf,
  type ExchangeFormat,
  type ShardPiece,
  weightType,
} from "./shards.ts";
import { DEPTH, type Staging } from "./staging.ts";

/** A chunk, and the dispatch after the last that it needs. */
interface Travelling {
  readonly chunk: Chunk;
  readonly end: number;
}

/**
 * Brings the weights that each rank has updated to all others, those of the first layers first, so
 * that the next micro-batch begins before the last ones have come. Where weights travel as updates,
 * `adamW` has left the update in the gradient: in bf16 it is rounded and applied; in int8 it is both
 * when this rank's own chunk is packed.
 */
export class AllGather {
  /** What it needs of memory. */
  readonly drafts: readonly Draft[];
  readonly #given: Travelling[] = [];
  /** By round: a chunk of each rank that has one left. */
  readonly #taken: (Travelling & { from: number })[][] = [];
  /**
   * How far a micro-batch is submitted before each turn, in which a chunk is given and a round is
   * taken: not beyond the first dispatch that reads weights, or adds to a gradient, whose turn is to
   * come; and not beyond an equal share of what can be before the last turn, because copies that are
   * submitted later would stand in the GPU's queue behind all of it, and end with nothing to hide them.
   */
  readonly #limits: readonly number[];
  #plans: readonly Plan[] = [];
  #turns: readonly Turn[] = [];
  #end: Promise<unknown> = Promise.resolve();

  /**
   * Records it.
   *
   * @param shards the pieces of every rank
   * @param capacity words of a chunk
   * @param microBatch where the next micro-batch uses which memory
   * @param isWhole whether every rank keeps a tensor whole in f32
   */
  constructor(
    capabilities: Capabilities,
    private readonly ranks: Communicator,
    shards: readonly (readonly ShardPiece[])[],
    format: ExchangeFormat,
    private readonly words: ExchangeWords,
    private readonly capacity: number,
    microBatch: MicroBatchUses,
    isWhole: (tensor: Tensor) => boolean,
  ) {
    const { rank } = ranks;
    const chunks = shards.map((pieces) =>
      chunksOf(pieces, capacity, (piece) => weightType(piece, format, isWhole))
    );
    const packing = new Graph(capabilities);
    for (const chunk of chunks[rank]) {
      for (const section of chunk.sections.filter(isUpdate)) {
        if (section.type === "int8") packAndApply(packing, section, words.outgoing);
        else packSection(packing, section, section.tensor.gradient!, words.outgoing);
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
    const firstRead = ({ tensor: { storage, half } }: ChunkSection) =>
      Math.min(
        ...[storage, ...half ? [half.storage] : []].map((each) => microBatch.firstUse(each)),
      );
    const neededOf = ({ chunk: { sections } }: Travelling) => sections.map(firstRead);
    const packedBefore = ({ chunk: { sections } }: Travelling) =>
      sections.filter(isUpdate).flatMap((section) => [
        microBatch.firstUse(section.tensor.gradient!.storage),
        ...section.type === "int8" ? [firstRead(section)] : [],
      ]);
    let limit = Number.MAX_SAFE_INTEGER;
    const limits = Array.from({ length: Math.max(longest, this.#given.length) }, (_, turn) => turn)
      .reverse()
      .map((turn) => {
        const given = this.#given.slice(turn, turn + 1).flatMap(packedBefore);
        const taken = (this.#taken[turn] ?? []).flatMap(neededOf);
        return limit = Math.min(limit, ...given, ...taken);
      })
      .reverse();
    const last = limits.at(-1)!;
    let before = 0;
    this.#limits = limits.map((each, turn, { length }) =>
      before = Math.min(each, before + Math.ceil((last - before) / (length - turn)))
    );
  }

  /** See {@linkcode Traffic}. */
  get traffic(): Traffic {
    const words = (travelling: readonly Travelling[]) =>
      4 * sum(travelling.map(({ chunk }) => chunk.words));
    return { out: words(this.#given), in: words(this.#taken.flat()) };
  }

  /** Builds its pipelines. @throws UserError when the device has too little memory */
  async build(gpu: Gpu): Promise<void> {
    const [packing, adding] = this.drafts;
    this.#plans = [await packing.build(gpu), await adding.build(gpu)];
  }

  /**
   * Begins it, after what was submitted before. All ranks call it.
   *
   * @param update updates this rank's pieces: submitted here, the first chunks leaving between its parts
   * @returns when all of the update is submitted
   */
  async begin(gpu: Gpu, staging: Staging, update?: UpdateInParts): Promise<void> {
    const [packing, adding] = this.#plans;
    this.#turns = this.#limits.map((_, turn) => ({
      given: turn < this.#given.length ? Promise.withResolvers() : undefined,
      taken: turn < this.#taken.length ? Promise.withResolvers() : undefined,
    }));
    const updated = Promise.withResolvers<void>();
    const submitRest = () => {
      update?.computation.upTo(Infinity);
      updated.resolve();
    };
    const give = this.#give(gpu, staging, packing, submitRest, update);
    this.#end = Promise.all([give, this.#take(gpu, staging, adding)]);
    this.#end.catch(() => {}); // thrown to who waits for it
    await Promise.race([updated.promise, give]);
  }

  /**
   * Waits until all that was begun is submitted.
   *
   * @param first the micro-batch that reads the weights: submitted as far as they have come
   * @returns seconds that the GPU had nothing of it to compute
   */
  async submitted(gpu: Gpu, first?: ComputationInParts): Promise<number> {
    let idleSince: number | undefined = performance.now();
    let waited = 0;
    let part = 0;
    for (const [turn, { given, taken }] of this.#turns.entries()) {
      if (first?.upTo(this.#limits[turn])) {
        if (idleSince !== undefined) waited += performance.now() - idleSince;
        idleSince = undefined;
        const own = ++part;
        gpu.device.queue.onSubmittedWorkDone().then(
          () => idleSince = own === part ? performance.now() : idleSince,
          () => {}, // a GPU that is lost is told of by what needs it
        );
      }
      await Promise.race([this.#end, Promise.all([given?.promise, taken?.promise])]);
    }
    this.#turns = [];
    if (idleSince !== undefined) waited += performance.now() - idleSince;
    return waited / 1000;
  }

  /** Waits until all that was begun has ended: other ranks have what they take. */
  async ended(): Promise<void> {
    await this.#end;
  }

  /** Frees what it alone uses. */
  destroy(): void {
    for (const plan of this.#plans) plan.destroy();
  }

  async #give(
    gpu: Gpu,
    staging: Staging,
    plan: Plan,
    submitRest: () => void,
    update?: UpdateInParts,
  ): Promise<void> {
    const others = Array.from({ length: this.ranks.size }, (_, of) => of)
      .filter((of) => of !== this.ranks.rank);
    // Until the table of embeddings has come, the update is all that there is to compute.
    const idle = this.#limits.filter((limit) => limit === this.#limits[0]).length;
    let begin = 0;
    for (const [turn, { chunk, end }] of this.#given.entries()) {
      // From here on, buffers must become free.
      if (turn >= DEPTH && turn < idle) update?.computation.share(idle - turn);
      if (turn >= DEPTH && turn >= idle - 1) submitRest();
      update?.computation.upTo(Math.max(...chunk.sections.map(({ tensor }) => update.end(tensor))));
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
      this.#turns[turn].given!.resolve();
      begin = end;
    }
    submitRest();
    await staging.allGiven();
  }

  async #take(gpu: Gpu, staging: Staging, plan: Plan): Promise<void> {
    const rounds = this.#taken.map((round) =>
      round.map(({ from, chunk: { words } }) => ({ from, words }))
    );
    let [round, begin] = [0, 0];
    for await (const buffers of staging.taken(rounds)) {
      const travelling = this.#taken[round];
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
      this.#turns[round++].taken!.resolve();
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

/** The update of this rank's pieces, on its way. */
export interface UpdateInParts {
  readonly computation: ComputationInParts;
  /** The dispatch after that which updates a tensor's piece. */
  readonly end: (tensor: Tensor) => number;
}

/** Settled when this rank's chunk is submitted, and when all others' chunks of the round are. */
interface Turn {
  readonly given?: PromiseWithResolvers<void>;
  readonly taken?: PromiseWithResolvers<void>;
}

/** A place on the GPU; the offset is in bytes. */
interface Place {
  readonly buffer: GPUBuffer;
  readonly offset: number;
}

function isUpdate({ type }: ChunkSection): boolean {
  return type === "bf16" || type === "int8";
}

/** Where the network reads the weights of a section. */
function weightsOf({ tensor, first, type }: ChunkSection): Place {
  const weights = type === "f16" ? tensor.half! : tensor;
  return { buffer: weights.storage.buffer!, offset: first * bytesOf[weights.dtype] };
}
