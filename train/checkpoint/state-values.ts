import type { Gpu } from "../../kernels/runtime/device.ts";
import { type OpenReading, ReadBack } from "../../kernels/runtime/read-back.ts";
import type { TensorValues } from "../../model/checkpoint/safetensors-encoder.ts";
import type { Parameters } from "../../model/network/parameters.ts";
import type { TrainingStep } from "../step/training-step.ts";
import { momentsOf } from "./optimizer-state.ts";

/** The weights and moments that a checkpoint is written from. */
export interface StateValues {
  /** Gives the weights by their published names, in the order of the file. */
  readonly weights: TensorValues;
  /** Gives AdamW's moments as {@linkcode momentsOf} names them, in the order of the file. */
  readonly moments: TensorValues;
  /** Whether both may be asked for at the same time. */
  readonly areIndependent: boolean;
}

/** Those of several ranks, from which the first gathers them, while the others help to save. */
export function gatheredValues(
  { trainedParts }: Parameters,
  training: TrainingStep,
): StateValues {
  const parts = new Map(trainedParts.map((part) => [part.name, part]));
  const moments = new Map(momentsOf(trainedParts).map((each) => [each.name, each]));
  return {
    weights: async (name) => (await training.gather(parts.get(name)!, "value"))!,
    moments: async (name) => {
      const { part, moment } = moments.get(name)!;
      return (await training.gather(part, moment))!;
    },
    areIndependent: false,
  };
}

/** Those of a step that is not sharded, as they were at one moment. To be disposed of. */
export interface CopiedValues extends StateValues, Disposable {
  /** Whether training may go on before all is read. */
  readonly isWhole: boolean;
}

/** Milliseconds between two pieces of memory that are taken while the GPU is at its steps. */
const PAUSE = 100;

/** So many times the memory of a copy must be free: the system keeps what is written for a while. */
const ROOM = 2;

/**
 * Copies the weights and moments of a step from the GPU, so that a checkpoint can be written while
 * training goes on. The host's memory for that, as much as a checkpoint takes on the disk, is kept
 * from one checkpoint to the next; where it is not free, training has to wait.
 */
export class StateCopies implements Disposable {
  readonly #weights: ReadBack;
  readonly #moments: ReadBack;
  readonly #names: { readonly weights: string[]; readonly moments: string[] };
  #timer?: ReturnType<typeof setTimeout>;
  #isClosed = false;

  /**
   * Takes no memory yet.
   *
   * @param training not sharded
   */
  constructor(
    private readonly gpu: Gpu,
    { trainedParts: parts }: Parameters,
    training: TrainingStep,
  ) {
    const moments = momentsOf(parts);
    this.#weights = new ReadBack(gpu, parts.map((part) => training.locate(part, "value")));
    this.#moments = new ReadBack(
      gpu,
      moments.map(({ part, moment }) => training.locate(part, moment)),
    );
    this.#names = {
      weights: parts.map(({ name }) => name),
      moments: moments.map(({ name }) => name),
    };
  }

  /** Takes the memory of a whole copy bit by bit, so that the first checkpoint waits less for it. */
  prepare(): void {
    if (this.#isClosed || this.#missingBytes === 0 || !this.#hasRoom()) return;
    this.#timer = setTimeout(() => {
      const next = this.#weights.missingBytes > 0 ? this.#weights : this.#moments;
      // A GPU that fails is told of by its next step.
      next.grow(1).then((hasGrown) => hasGrown && this.prepare()).catch(() => {});
    }, PAUSE);
  }

  /**
   * Begins to copy the present state.
   *
   * @param goesOn whether training is to go on meanwhile, for which the copy must be whole
   */
  async copy(goesOn: boolean): Promise<CopiedValues> {
    const isWhole = goesOn && this.#hasRoom() && await this.#weights.grow(Infinity) &&
      await this.#moments.grow(Infinity);
    const [weights, moments] = [await this.#weights.begin(), await this.#moments.begin()];
    return {
      weights: inOrder(this.#names.weights, weights),
      moments: inOrder(this.#names.moments, moments),
      areIndependent: true,
      isWhole,
      [Symbol.dispose]: () => {
        weights[Symbol.dispose]();
        moments[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#weights.destroy();
    this.#moments.destroy();
  }

  get #missingBytes(): number {
    return this.#weights.missingBytes + this.#moments.missingBytes;
  }

  /** Where the host cannot tell how much memory is free, there is none to spare. */
  #hasRoom(): boolean {
    return ROOM * this.#missingBytes <= (this.gpu.host.freeMemory?.() ?? 0);
  }
}

function inOrder(names: readonly string[], reading: OpenReading): TensorValues {
  let index = 0;
  return (name) => {
    if (names[index++] === name) return reading.next();
    throw new Error(`${name} is not the next of the copied values`);
  };
}
