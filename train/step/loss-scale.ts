/** Steps without an overflow after which a larger scale is tried. */
const PATIENCE = 1000;

/** What of a loss scale is saved with a run; JSON. */
export interface LossScaleState {
  readonly value: number;
  /** Steps since it last changed. */
  readonly calm: number;
}

/**
 * What the loss is multiplied by in mixed precision, so that small gradients do not vanish in f16
 * (Micikevicius et al., arXiv 1710.03740): it halves when a gradient overflows and doubles after a
 * thousand steps without that. In f32 it stays 1.
 */
export class LossScale {
  #state: LossScaleState;

  constructor(private readonly mixed: boolean) {
    this.#state = { value: mixed ? 2 ** 16 : 1, calm: 0 };
  }

  get value(): number {
    return this.#state.value;
  }

  get state(): LossScaleState {
    return this.#state;
  }

  /** Goes on from what was saved. */
  restore(state: LossScaleState): void {
    this.#state = state;
  }

  /**
   * Takes notice of a step.
   *
   * @returns false if the step failed and no smaller scale can help
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
