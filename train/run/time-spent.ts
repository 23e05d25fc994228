/** What a run spends its time on. */
const KINDS = ["start", "steps", "validation", "checkpoints"] as const;

type Kind = typeof KINDS[number];

/** Where the time of a run goes. */
export class TimeSpent {
  readonly #seconds: Record<Kind, number> = { start: 0, steps: 0, validation: 0, checkpoints: 0 };

  /**
   * Its start begins.
   *
   * @param began when, in milliseconds of `performance.now()`
   */
  constructor(private readonly began: number) {}

  /** Its start ends: the first step begins. */
  endStart(): void {
    this.#seconds.start = this.#total();
  }

  /** Adds time. */
  add(kind: Kind, seconds: number): void {
    this.#seconds[kind] += seconds;
  }

  /** Adds the time that work takes. */
  async during<Result>(kind: Kind, work: () => Promise<Result>): Promise<Result> {
    const began = performance.now();
    const result = await work();
    this.add(kind, (performance.now() - began) / 1000);
    return result;
  }

  /**
   * Such as `188 s: start 32.1 s (17 %), steps 137.2 s (73 %), validation 3.0 s (2 %), checkpoints
   * 14.9 s (8 %), other 0.8 s (0 %); 52,900 tokens/s from the first step to the last checkpoint`.
   *
   * @param tokens that the steps trained on
   */
  describe(tokens: number): string {
    const total = this.#total();
    const known = KINDS.reduce((sum, kind) => sum + this.#seconds[kind], 0);
    const parts = Object.entries({ ...this.#seconds, other: total - known }).map(
      ([kind, seconds]) =>
        `${kind} ${seconds.toFixed(1)} s (${Math.round(100 * seconds / total)} %)`,
    );
    const rate = Math.round(tokens / (total - this.#seconds.start)).toLocaleString("en");
    return `${total.toFixed(0)} s: ${
      parts.join(", ")
    }; ${rate} tokens/s from the first step to the ` +
      `last checkpoint`;
  }

  #total(): number {
    return (performance.now() - this.began) / 1000;
  }
}
