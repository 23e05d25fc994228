import { type Example, IGNORED_LABEL } from "./encode.ts";

/** Tokens of a page: 4 MiB. */
const PAGE = 2 ** 20;
/** This bit is set in a token that has a label; ids are smaller. */
const LEARNT = 2 ** 31;

/**
 * Stores examples in four bytes a token: as arrays of numbers, a million examples would take more
 * memory than a process may have.
 */
export class ExampleStore {
  readonly #pages: Uint32Array[] = [];
  /** The end of each example, in tokens. */
  readonly #ends: number[] = [];
  #tokens = 0;

  /** Number of examples. */
  get length(): number {
    return this.#ends.length;
  }

  /** Adds an example. */
  add({ ids, labels }: Example): void {
    ids.forEach((id, i) => this.#push(labels[i] === IGNORED_LABEL ? id : LEARNT + id));
    this.#ends.push(this.#tokens);
  }

  /** A copy of the example with this number, from 0. */
  at(index: number): Example {
    const start = index === 0 ? 0 : this.#ends[index - 1];
    const length = this.#ends[index] - start;
    const stored = (i: number) => this.#pages[Math.floor((start + i) / PAGE)][(start + i) % PAGE];
    const idOf = (token: number) => token >= LEARNT ? token - LEARNT : token;
    return {
      ids: Array.from({ length }, (_, i) => idOf(stored(i))),
      labels: Array.from({ length }, (_, i) => {
        const token = stored(i);
        return token >= LEARNT ? token - LEARNT : IGNORED_LABEL;
      }),
    };
  }

  #push(token: number): void {
    const place = this.#tokens % PAGE;
    if (place === 0) this.#pages.push(new Uint32Array(PAGE));
    this.#pages.at(-1)![place] = token;
    this.#tokens++;
  }
}
