import type { RunKeeper } from "../run/run-keeper.ts";
import type { TrainingState } from "./training-checkpoint.ts";

/**
 * The checkpoints of a run, of which one at a time may still be being written while training goes
 * on. Disposing waits for it.
 */
export class Checkpoints implements AsyncDisposable {
  #writing: Promise<void> = Promise.resolve();
  #failure?: { readonly error: unknown };
  #begun: number;
  #newest: number;

  /**
   * Nothing is saved yet.
   *
   * @param step of the checkpoint that the run goes on from; 0 if there is none
   * @param onWritten is called with the place of each checkpoint when it is whole
   */
  constructor(
    private readonly keeper: RunKeeper,
    step: number,
    private readonly onWritten: (place: string) => void = () => {},
  ) {
    this.#begun = this.#newest = step;
  }

  /** The step of the newest one that is whole; 0 if there is none. */
  get newest(): number {
    return this.#newest;
  }

  /** The step of the newest one, whole or not. */
  get begun(): number {
    return this.#begun;
  }

  /**
   * Saves one, after the one before it. Training may go on when this returns.
   *
   * @param goesOn whether it will
   * @throws UserError if it, or the one before it, cannot be written
   */
  async save(state: TrainingState, goesOn: boolean): Promise<void> {
    await this.#writing;
    const { step } = state;
    const { written } = await this.keeper.save(state, goesOn);
    this.#begun = step;
    this.#writing = written.then((place) => {
      this.#newest = step;
      this.onWritten(place);
    });
    this.#writing.catch((error) => this.#failure = { error });
  }

  /** @throws UserError if one could not be written since the last call */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits until all are whole. @throws UserError if one cannot be written */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** Waits until none is being written, whether or not it could be. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => {}); // another error is on its way, or this one is thrown already
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle();
  }
}
