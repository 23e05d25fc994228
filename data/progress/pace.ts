/** Milliseconds and updates over which the rate is averaged: whichever of the two is longer. */
const [WINDOW, WINDOW_UPDATES] = [30_000, 20];

/** Milliseconds between two marks: updates in between count, but are not kept. */
const MARK_INTERVAL = 100;

/**
 * Measures how fast a task has been lately, to predict the time left. All times are milliseconds.
 *
 * Some updates take much longer than others: a training step with a validation, a file that an
 * earlier run has done. The average over {@linkcode WINDOW} levels them. The first update, in which
 * pipelines are compiled, and the second, before which training measures the device's peak, predict
 * nothing and are dropped as soon as there is a third.
 */
export class Pace {
  #marks: { done: number; time: number }[];
  #updates = 0;

  /** @param done units that were done before this start, at the time `now` */
  constructor(done: number, now: number) {
    this.#marks = [{ done, time: now }];
  }

  /** Notes that so many units are done now. */
  update(done: number, now: number): void {
    const marks = this.#marks;
    if (marks.length > 2 && now - marks.at(-2)!.time < MARK_INTERVAL) marks.pop();
    else if (++this.#updates <= 3) marks.splice(0, marks.length - 1);
    marks.push({ done, time: now });
    while (marks.length > WINDOW_UPDATES + 1 && now - marks[0].time > WINDOW) marks.shift();
  }

  /** Units a second; 0 while nothing is known. */
  get rate(): number {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)!];
    return 1000 * (last.done - first.done) / Math.max(1, last.time - first.time);
  }

  /** Predicts the seconds until `total` units are done; undefined while nothing is known. */
  secondsTo(total: number): number | undefined {
    return this.rate === 0 ? undefined : (total - this.#marks.at(-1)!.done) / this.rate;
  }
}
