// @ts-types="@types/cli-progress"
import { MultiBar, type SingleBar } from "cli-progress";
import process from "node:process";

/** What is shown of a step. */
export interface StepStatus {
  /** Mean over the step's target tokens, in nats. */
  loss: number;
  learningRate: number;
  tokensPerSecond: number;
  /** Of what the device's own matrix product reaches, from 0 to 1; where that can be measured. */
  shareOfPeak?: number;
}

/** Milliseconds between two lines where no bar can be drawn. */
const LINE_INTERVAL = 5000;

/**
 * Shows how far a run is: a bar on a terminal, and elsewhere a plain line every few seconds. Always
 * to be disposed of, or the terminal is left as the bar set it.
 */
export class Progress implements Disposable {
  readonly #steps: number;
  readonly #clock: StepClock;
  readonly #bars?: MultiBar;
  readonly #bar?: SingleBar;
  #lastLine = -Infinity;

  /**
   * @param steps of the whole run
   * @param done steps that earlier starts of the run have done
   */
  constructor(steps: number, done: number) {
    this.#steps = steps;
    this.#clock = new StepClock(done, performance.now());
    if (!process.stdout.isTTY) return;
    this.#bars = new MultiBar({
      stream: process.stdout,
      format: "{bar} step {value}/{total}  {status}",
      barsize: 16,
      barCompleteChar: "█",
      barIncompleteChar: "░",
      forceRedraw: true, // or the bar is missing after a line was put above it
    });
    this.#bar = this.#bars.create(steps, done, { status: "" });
  }

  /** @param step the number of steps done */
  update(step: number, status: StepStatus): void {
    const now = performance.now();
    const left = this.#clock.secondsTo(this.#steps, step, now);
    const text = `${statusText(status)}  ${timeText(left)} left`;
    if (this.#bar !== undefined) {
      this.#bar.update(step, { status: text });
      return;
    }
    if (now - this.#lastLine < LINE_INTERVAL && step < this.#steps) return;
    this.#lastLine = now;
    console.log(`step ${step}/${this.#steps}  ${text}`);
  }

  /** Puts a line above the bar. */
  line(text: string): void {
    if (this.#bars === undefined) console.log(text);
    else this.#bars.log(`${text}\n`);
  }

  [Symbol.dispose](): void {
    this.#bars?.update(); // writes the lines that are still waiting
    this.#bars?.stop();
  }
}

/** Such as `loss 5.123  lr 3.00e-4  12,345 tok/s  41 % of peak`. */
export function statusText(status: StepStatus): string {
  const { loss, learningRate, tokensPerSecond, shareOfPeak } = status;
  return [
    `loss ${loss.toFixed(3)}`,
    `lr ${learningRate.toExponential(2)}`,
    `${Math.round(tokensPerSecond).toLocaleString("en")} tok/s`,
    ...shareOfPeak === undefined ? [] : [`${Math.round(100 * shareOfPeak)} % of peak`],
  ].join("  ");
}

/** Such as `45s`, `3m05s`, `2h30m` or `4d02h`. */
export function timeText(seconds: number): string {
  const whole = Math.round(seconds);
  const units: [string, number][] = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => whole >= length);
  if (first === -1) return "0s";
  const [[name, length], next] = [units[first], units[first + 1]];
  if (next === undefined) return `${whole}s`;
  const rest = Math.floor((whole % length) / next[1]).toString().padStart(2, "0");
  return `${Math.floor(whole / length)}${name}${rest}${next[0]}`;
}

/** Foretells the time left from the time that recent steps took. */
export class StepClock {
  #step: number;
  #time: number;
  #updates = 0;
  #secondsPerStep = 0;

  /** @param now milliseconds, as below */
  constructor(step: number, now: number) {
    this.#step = step;
    this.#time = now;
  }

  secondsTo(last: number, step: number, now: number): number {
    const recent = (now - this.#time) / 1000 / Math.max(1, step - this.#step);
    // A validation or a checkpoint makes one step long: an average over some twenty levels it. The
    // first step, in which pipelines are compiled, and the second, before which the device's peak is
    // measured, foretell nothing once there is a third.
    this.#secondsPerStep = this.#updates++ < 3
      ? recent
      : 0.95 * this.#secondsPerStep + 0.05 * recent;
    this.#step = step;
    this.#time = now;
    return (last - step) * this.#secondsPerStep;
  }
}
