/** Steps without an overflow after which a larger scale is tried. */
const PATIENCE = 1000;

/** The state of a loss scale, saved with a run; JSON. */
export interface LossScaleState {
  /** What the loss is multiplied by. */
  readonly value: number;
  /** Steps since it last changed. */
  readonly calm: number;
}

/**
 * The factor of the loss in mixed precision, which keeps small gradients from vanishing in f16
 * (Micikevicius et al., arXiv 1710.03740). It halves when a gradient overflows, and doubles after a
 * thousand steps without an overflow. In f32 it is always 1.
 */
export class LossScale {
  #state: LossScaleState;

  /** Starts at 2^16 in mixed precision. */
  constructor(private readonly mixed: boolean) {
    this.#state = { value: mixed ? 2 ** 16 : 1, calm: 0 };
  }

  /** What the loss is multiplied by now. */
  get value(): number {
    return this.#state.value;
  }

  /** The state to save. */
  get state(): LossScaleState {
    return this.#state;
  }

  /** Continues from a saved state. */
  restore(state: LossScaleState): void {
    this.#state = state;
  }

  /**
   * Adapts the scale to the outcome of a step.
   *
   * @returns false if the step overflowed and a smaller scale cannot help
   */
  update(finite: boolean): boolean {
    const { value, calm } = this.#state;
    if (!this.mixed) return finite;
    if (!finite) this.#state = { value: value / 2, calm: 0 };
    else if (calm + 1 === PATIENCE) this.#state = { value: value * 2, calm: 0 };
    else this.#state = { value, calm: calm + 1 };
    return finite || value > 1;
  }
}
