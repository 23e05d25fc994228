import { type Example, IGNORED_LABEL } from "./encode.ts";

/** Tokens of a page: 4 MiB. */
const PAGE = 2 ** 20;
/** Set in a token that is learnt; ids are smaller. */
const LEARNT = 2 ** 31;

/**
 * Examples one behind the other, four bytes a token. As arrays of numbers, a million of them would
 * take more than a process may have.
 */
export class ExampleStore {
  readonly #pages: Uint32Array[] = [];
  /** Where each example ends, counted in tokens. */
  readonly #ends: number[] = [];
  #tokens = 0;

  /** Number of examples. */
  get length(): number {
    return this.#ends.length;
  }

  add({ ids, labels }: Example): void {
    ids.forEach((id, i) => this.#push(labels[i] === IGNORED_LABEL ? id : LEARNT + id));
    this.#ends.push(this.#tokens);
  }

  /** A copy of an example, counted from 0. */
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
