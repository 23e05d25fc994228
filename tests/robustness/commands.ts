/** Commands as `deno task` runs them, permissions included, but in any folder; and how they may end. */
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The program and arguments that a task of `deno.json` stands for, with more arguments. */
export async function commandOf(task: string, args: string[]): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [, run, ...words]: string[] = tasks[task].command.split(" ");
  const script = words.findIndex((word) => word.endsWith(".ts"));
  const given = words.with(script, ROOT + words[script]);
  return [Deno.execPath(), run, "--quiet", `--config=${ROOT}deno.json`, ...given, ...args];
}

export function start([program, ...args]: string[], cwd: string): Deno.ChildProcess {
  return new Deno.Command(program, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** How a command ended. */
export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
  seconds: number;
  /** Whether it was killed because it took longer than it may. */
  hung: boolean;
}

/** Waits for a command, for so many seconds at most. */
export async function ended(child: Deno.ChildProcess, seconds: number): Promise<Ended> {
  const began = performance.now();
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, 1000 * seconds);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  return {
    status: code,
    stdout: new TextDecoder().decode(stdout),
    stderr: new TextDecoder().decode(stderr),
    seconds: (performance.now() - began) / 1000,
    hung,
  };
}

/** Runs a command to its end. */
export async function run(command: string[], cwd: string, seconds = 1800): Promise<Ended> {
  return await ended(start(command, cwd), seconds);
}

/** What no command may do, in words; undefined if it did not. */
export function misbehaviour({ status, stderr, stdout, hung, seconds }: Ended): string | undefined {
  if (hung) return `it hung: killed after ${seconds.toFixed(0)} s`;
  const trace = /^\s+at .*$/m.exec(stderr + stdout);
  if (trace) return `a stack trace: ${lastLines(stderr.slice(0, stderr.indexOf(trace[0])), 3)}`;
  // A panic and a full heap have no trace of JavaScript.
  if (status > 1 && status < 128) return `status ${status}: ${lastLines(stderr, 3)}`;
  if (status === 133 || status === 134 || status === 139) {
    return `it crashed (${status}): ${lastLines(stderr, 3)}`;
  }
  if (status === 1 && !refusalOf(stderr)) return `status 1 without a word: ${lastLines(stderr, 3)}`;
  return undefined;
}

/** The word with which a command refused. */
export function refusalOf(stderr: string): string | undefined {
  return /^error: (?!Uncaught)(.*)$/m.exec(stderr)?.[1];
}

function lastLines(text: string, count: number): string {
  return text.trim().split("\n").slice(-count).join(" / ").slice(0, 500);
}
