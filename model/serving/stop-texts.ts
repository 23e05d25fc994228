/** A piece of an answer, with what belongs to the tokens that it is made of. */
export interface Piece<Token> {
  readonly text: string;
  readonly tokens: readonly Token[];
}

/**
 * Ends a text before the first of several texts that it comes to contain. What may be the beginning
 * of one of them is held back until it is known.
 */
export class StopTexts<Token> {
  /** Has been added, but not given out. */
  #held = "";
  /** The tokens of what is held, with the places in it where their texts begin and end. */
  #tokens: { token: Token; start: number; end: number }[] = [];
  #isStopped = false;

  constructor(private readonly stops: readonly string[]) {}

  /** Whether the text has ended; what is added later is of no account. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Adds a token and the text that it completes. Returns what is sure to belong to the answer. */
  push(text: string, token: Token): Piece<Token> {
    const start = this.#held.length;
    this.#held += text;
    this.#tokens.push({ token, start, end: this.#held.length });
    const found = this.stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#isStopped = true;
      return this.#release(Math.min(...found));
    }
    return this.#release(this.#held.length - this.#openLength());
  }

  /** What was held back, where the answer has ended for another reason. */
  rest(): Piece<Token> {
    return this.#release(this.#held.length);
  }

  /** How much of the end may be the beginning of a stop text. */
  #openLength(): number {
    const longest = Math.max(0, ...this.stops.map(({ length }) => length - 1));
    for (let length = Math.min(longest, this.#held.length); length > 0; length--) {
      const end = this.#held.slice(-length);
      if (this.stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }

  #release(length: number): Piece<Token> {
    const text = this.#held.slice(0, length);
    const isOut = ({ start, end }: { start: number; end: number }) =>
      // A token without a text of its own goes with the one before it.
      start < length || !this.#isStopped && start === length && end === length;
    const tokens = this.#tokens.filter(isOut).map(({ token }) => token);
    this.#held = this.#held.slice(length);
    this.#tokens = this.#tokens.filter((token) => !isOut(token))
      .map(({ token, start, end }) => ({ token, start: start - length, end: end - length }));
    return { text, tokens };
  }
}
