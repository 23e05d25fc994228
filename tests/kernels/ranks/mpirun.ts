/** Starts `rank-program.ts` under mpirun and reads what its ranks say. */
import { assert, assertEquals } from "@std/assert";
import { ensureProgram } from "../../ensure-program.ts";
import type { ConnectOptions } from "../../../kernels/ranks/communicator.ts";
import { MPI_PACKAGE, MPIRUN_SETTINGS } from "../../../kernels/ranks/launch.ts";
import { listSystemFolder, processExists } from "../../../kernels/ranks/linux/libc.ts";
import { descendants, type Process } from "../../../kernels/ranks/linux/processes.ts";

const PROGRAM = new URL("rank-program.ts", import.meta.url).pathname;
/** Milliseconds after which a run is ended: it waits for ever, which is what must not be. */
const LIMIT = 40_000;

/** What a line of the program may hold. */
export interface Line {
  rank?: number;
  size?: number;
  hostRanks?: number[];
  pid?: number;
  mpi?: boolean;
  told?: string;
  failed?: string;
  stops?: number[];
}

/** Options of `rank-program.ts`. */
export interface ProgramOptions extends Omit<ConnectOptions, "handlesTermination" | "onFailure"> {
  /** Whether the program is its own launcher, of so many ranks. */
  launch?: number;
  /** Whether ranks redirect their output and hide GPUs from each other. */
  enter?: boolean;
  handlesTermination?: boolean;
}

/** A run of several ranks. */
export class Run {
  readonly lines: Line[] = [];
  readonly stderr: Promise<string>;
  /** Processes that must be gone at the end. */
  readonly #pids = new Set<number>();
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  readonly #limit: ReturnType<typeof setTimeout>;

  constructor(command: string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(command[0], {
      args: command.slice(1),
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#read = this.#readLines();
    this.stderr = new Response(this.#child.stderr).text();
    this.#limit = setTimeout(() => this.kill("SIGKILL"), LIMIT);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The processes that this one has started, all of which are remembered. */
  processes(): Process[] {
    const processes = descendants(this.pid);
    for (const { pid } of processes) this.#pids.add(pid);
    return processes;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Processes of the ranks, once so many have said theirs. */
  async pids(count: number): Promise<number[]> {
    while (true) {
      const pids: number[] = [];
      for (const { rank, pid } of this.lines) if (pid !== undefined) pids[rank!] = pid;
      if (Object.keys(pids).length === count) return pids;
      assert(
        await Promise.race([this.#read.then(() => false), sleep(20).then(() => true)]),
        "ended",
      );
    }
  }

  /** Status of the whole, after which no process and no shared memory may be left. */
  async end(): Promise<number> {
    const { code } = await this.#child.status;
    clearTimeout(this.#limit);
    await this.#read;
    const pids = [...this.#pids, ...this.lines.flatMap(({ pid }) => pid ?? [])];
    const end = performance.now() + 10_000;
    while (pids.some(processExists) && performance.now() < end) await sleep(50);
    assertEquals(pids.filter(processExists), []);
    // Named after one of the ranks.
    const names = listSystemFolder("/dev/shm");
    assertEquals(names.filter((name) => pids.some((pid) => name.startsWith(`steel-${pid}-`))), []);
    return code;
  }

  /** Every rank's reason for its failure, and what the person at the terminal was told. */
  get failures(): { failed: string[]; told: string[] } {
    return {
      failed: this.lines.flatMap(({ failed }) => failed ?? []),
      told: this.lines.flatMap(({ told }) => told ?? []),
    };
  }

  async #readLines(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.lines.push(...lines.map((line) => JSON.parse(line)));
    }
  }
}

/** The command that runs a mode of the program as one process. */
export function program(mode: string, options: ProgramOptions = {}): string[] {
  return [Deno.execPath(), "run", "-A", "--no-check", PROGRAM, mode, JSON.stringify(options)];
}

/** Starts a mode of the program as so many ranks. */
export function mpirun(
  ranks: number,
  mode: string,
  options: ProgramOptions = {},
  env: Record<string, string> = {},
): Run {
  return new Run(["mpirun", "-np", String(ranks), ...program(mode, options)], {
    ...MPIRUN_SETTINGS,
    ...env,
  });
}

/** Installs MPI on Debian where it is missing; without MPI the tests fail. */
export function ensureMpi(): Promise<void> {
  return ensureProgram("mpirun", MPI_PACKAGE);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
