/** One line that says how far an evaluation is: in place on a terminal, else every few seconds. */

import type { Progress } from "./run-evaluation.ts";

const LINE_INTERVAL = 5000;

export class ProgressLine implements Disposable {
  #lastLine = performance.now();
  #shown = false;

  constructor(private readonly title: string) {}

  show(progress: Progress): void {
    const text = progressText(this.title, progress);
    if (Deno.stderr.isTerminal()) {
      this.#write(`\r\x1b[K${text}`);
      this.#shown = true;
    } else if (performance.now() - this.#lastLine >= LINE_INTERVAL) {
      this.#lastLine = performance.now();
      this.#write(`${text}\n`);
    }
  }

  /** Leaves the terminal on a line of its own. */
  [Symbol.dispose](): void {
    if (this.#shown) this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}

/** Such as `C-Eval 345/1346  12.3 questions/s  7,300 tokens/s  81 s left`. */
function progressText(
  title: string,
  { answered, questions, seconds, asked, tokens }: Progress,
): string {
  const left = Math.ceil((questions - answered) * seconds / asked);
  return [
    `${title} ${answered}/${questions}`,
    `${(asked / seconds).toFixed(1)} questions/s`,
    `${Math.round(tokens / seconds).toLocaleString("en")} tokens/s`,
    `${left} s left`,
  ].join("  ");
}
