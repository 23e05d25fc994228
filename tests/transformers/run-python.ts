import { messageOf } from "../../data/text/error-message.ts";
import { parseObject } from "../../data/text/json.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

/**
 * Runs a program of this folder in Python. Every JSON object that it prints, each on a line, is given
 * as it comes; what libraries print is shown.
 *
 * @param python the interpreter
 * @param seconds after which it is ended
 * @throws UserError if it cannot be started, fails, or takes longer
 */
export async function* runPython(
  python: string,
  program: string,
  args: readonly string[],
  seconds: number,
): AsyncGenerator<Record<string, unknown>> {
  const path = decodeURIComponent(new URL(program, import.meta.url).pathname);
  const signal = AbortSignal.timeout(1000 * seconds);
  const process = started(python, [path, ...args], signal);
  let rest = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("{")) yield parseObject(line, `${program}'s output`);
      else console.error(line);
    }
  }
  const { success, code } = await process.status;
  if (success) return;
  throw new UserError(
    signal.aborted
      ? `${program} was ended after ${seconds.toFixed(0)} seconds`
      : `${program} ended with status ${code}: see above`,
  );
}

function started(python: string, args: string[], signal: AbortSignal): Deno.ChildProcess {
  try {
    return new Deno.Command(python, { args, signal, stdin: "null", stdout: "piped" }).spawn();
  } catch (error) {
    throw new UserError(`--python=${python}: it cannot be started: ${messageOf(error)}`);
  }
}
