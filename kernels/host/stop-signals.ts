import { fstatSync, readSync } from "node:fs";
import { processInfo } from "./process-info.ts";

/** Exit statuses of commands that a signal stopped, as shells count them. */
const STATUSES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

type Signal = keyof typeof STATUSES;

/**
 * Milliseconds in which another signal is the same one: `npx` and `deno task` pass on what a
 * terminal or a cluster has sent to every process of the group already.
 */
const SAME_SIGNAL = 300;

/** Milliseconds between two looks at the parent. */
const PARENT_INTERVAL = 1000;

/** Between `npx` and this process are `deno task` and perhaps a shell. */
const MOST_PARENTS = 5;

/** Says that a command was told to stop. What is finished is kept. */
export class Stopped extends Error {
  override readonly name = "Stopped";

  /**
   * @param cause who told it, such as `SIGTERM`
   * @param status the command's exit status
   */
  constructor(override readonly cause: string, readonly status: number) {
    super(`Stopped (${cause}). What is finished is kept: the same command goes on from there.`);
  }
}

/**
 * What tells a command to stop: SIGINT (Ctrl-C), SIGTERM (of clusters, before they take a machine),
 * SIGHUP (of a terminal that closes) and the end of `deno task` or `npx`, without which nobody sees
 * what the command does. A second Ctrl-C ends the process at once.
 *
 * Below `nohup` neither the terminal's nor a parent's end stops a command. Windows has only Ctrl-C,
 * and does not tell of a parent's end; that of `npx` is seen on Linux with `--allow-ffi`.
 */
export class StopSignals implements Disposable {
  static #listening = 0;
  readonly #controller = new AbortController();
  readonly #listeners = new Map<Signal, () => void>();
  #parentTimer: ReturnType<typeof setInterval> | undefined;
  readonly #parents = parentsNow();
  #stoppedAt = Infinity;

  /**
   * Listens to nothing before {@linkcode listen}.
   *
   * @param onStop called once, with what to say to the person at the terminal
   * @param beforeExit called before a second Ctrl-C ends the process
   */
  constructor(
    private readonly onStop: (text: string) => void,
    private readonly beforeExit: () => void,
  ) {}

  /** Aborted, with a {@linkcode Stopped} as the reason, when the command is to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether signals are heeded at this moment: they do then not end the process by themselves. */
  static get isListening(): boolean {
    return StopSignals.#listening > 0;
  }

  /** The exit status of the command: 0 unless it was stopped. */
  get status(): number {
    return this.signal.aborted ? (this.signal.reason as Stopped).status : 0;
  }

  /** Listens until it is disposed of. */
  listen(): void {
    StopSignals.#listening++;
    const staysWithout = isBelowNohup();
    for (const signal of signalsOf(Deno.build.os)) {
      // Unheard, it would end the process all the same: Deno does not know of nohup.
      const isDeaf = signal === "SIGHUP" && staysWithout;
      const listener = () => isDeaf || this.#heed(signal);
      Deno.addSignalListener(signal, listener);
      this.#listeners.set(signal, listener);
    }
    if (staysWithout || this.#parents.length === 0) return;
    this.#parentTimer = setInterval(() => {
      if (String(parentsNow()) === String(this.#parents)) return;
      this.#stop("the process that started it has ended", STATUSES.SIGHUP);
    }, PARENT_INTERVAL);
    Deno.unrefTimer(this.#parentTimer);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#parentTimer);
    if (this.#listeners.size > 0) StopSignals.#listening--;
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
    this.#listeners.clear();
  }

  #heed(signal: Signal): void {
    if (!this.signal.aborted) return this.#stop(signal, STATUSES[signal]);
    if (signal !== "SIGINT" || performance.now() - this.#stoppedAt < SAME_SIGNAL) return;
    this.beforeExit();
    Deno.exit(STATUSES.SIGINT);
  }

  #stop(cause: string, status: number): void {
    if (this.signal.aborted) return;
    this.#stoppedAt = performance.now();
    this.#controller.abort(new Stopped(cause, status));
    const again = "Ctrl-C again to stop at once without saving.";
    this.onStop(cause === "SIGINT" ? again : `${again} (${cause})`);
  }
}

function signalsOf(os: typeof Deno.build.os): Signal[] {
  return os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM", "SIGHUP"];
}

/**
 * `nohup` makes a process ignore SIGHUP, which Deno undoes. Nothing else says so to a process but
 * this: in place of a terminal, it has a standard input that cannot be read.
 */
function isBelowNohup(): boolean {
  try {
    if (!fstatSync(0).isCharacterDevice() || Deno.stdin.isTerminal()) return false;
    readSync(0, new Uint8Array(1)); // of /dev/null, which has no byte
    return false;
  } catch {
    return true;
  }
}

/**
 * The processes that this one is not to outlive, the next one first; none if a shell has started it.
 * They are `deno task`, and below `npx` all up to that: it ends at a signal and passes on none but
 * Ctrl-C.
 */
function parentsNow(): number[] {
  if (!isSet("INIT_CWD")) return []; // deno task sets it
  const parents = [Deno.ppid];
  for (let up = 0; isSet("npm_command") && up < MOST_PARENTS; up++) {
    const info = processInfo(parents.at(-1)!);
    if (info === undefined) break;
    if (/^(npm|node)\b/.test(info.name)) return parents;
    parents.push(info.parent);
  }
  return [Deno.ppid];
}

function isSet(variable: string): boolean {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" && Deno.env.has(variable);
}
