/** Damaged files of every format: each is refused with a word, or comes to something sensible. */
import { fileURLToPath } from "node:url";
import { ANSWER, broken, type Campaign, type Try, type Verdict } from "./campaign.ts";
import { commandOf, ended, misbehaviour, refusalOf, ROOT, start } from "./commands.ts";
import { type Expectation, MOST_BYTES, MOST_SECONDS } from "./expectations.ts";
import { type Format, FORMATS } from "./formats.ts";
import { stageDamaged } from "./stage.ts";
import { copyFolder, filesBelow } from "./tree.ts";

/** Seconds of waiting for a process that computes nothing: those of computing are counted by itself. */
const LONGEST_WAIT = 600;

/** Of so many tries, one is put to the command line too. */
const SAMPLED = 25;

/**
 * @param work a folder for the processes
 * @param inputs undamaged files, as `writeInputs` writes them
 * @param tries of a format that is read fast; the slow ones have fewer
 */
export function mutations(
  work: string,
  inputs: string,
  seed: number,
  tries: number,
  atOnce: number,
): Campaign {
  const children = Array.from(
    { length: atOnce },
    (_, i) => new Child([inputs, `${work}/child-${i}`, String(seed)], `${work}/child-${i}`),
  );
  const free = [...children];
  return {
    name: "mutations",
    atOnce,
    tries: triesOf(tries),
    async attempt(one, keep) {
      const child = free.pop()!;
      try {
        const answer = await child.ask(one);
        let verdict = typeof answer === "string" ? broken(...SUDDEN[answer]) : answer;
        if (!isBroken(verdict) && one.index % SAMPLED === SAMPLED - 1) {
          verdict = await byCommand(one, inputs, `${child.work}-command`, seed) ??
            verdict;
        }
        if (isBroken(verdict)) {
          const { input } = await stageDamaged(
            formatOf(one),
            inputs,
            `${child.work}-kept`,
            seed,
            one.index,
          );
          await copyFolder(input, keep);
          child.end(); // what went wrong may have left something behind
        }
        return verdict;
      } finally {
        free.push(child);
      }
    },
    [Symbol.asyncDispose]() {
      for (const child of children) child.end();
      return Promise.resolve();
    },
  };
}

const IN_WORDS = "damaged files are refused in words, never by a stack trace";

/** How a child ends without an answer. */
const SUDDEN: Record<"hang" | "memory" | "died", [Expectation, string]> = {
  hang: ["a small file takes little time", `it took more than ${MOST_SECONDS} s`],
  memory: ["a small file takes little memory", `it took more than ${MOST_BYTES / 1e9} GB`],
  died: [IN_WORDS, "the process died"],
};

/** All formats in turn, so that a campaign that is stopped has tried them alike. */
function triesOf(tries: number): Try[] {
  return Array.from(
    { length: tries },
    (_, index) =>
      FORMATS.filter(({ cost = 1 }) => index * cost < tries).map(({ name }) => ({
        kind: name,
        index,
      })),
  ).flat();
}

function isBroken({ outcome }: Verdict): boolean {
  return outcome === "finding";
}

function formatOf({ kind }: Try): Format {
  return FORMATS.find(({ name }) => name === kind)!;
}

/** The verdict of the command line, if it breaks an expectation. */
async function byCommand(
  one: Try,
  inputs: string,
  work: string,
  seed: number,
): Promise<Verdict | undefined> {
  const format = formatOf(one);
  if (!format.command) return undefined;
  const staged = await stageDamaged(format, inputs, work, seed, one.index);
  const [task, ...args] = format.command(staged);
  const before = await filesBelow(work);
  const end = await ended(start(await commandOf(task, args), staged.input), LONGEST_WAIT);
  const misbehaved = misbehaviour(end);
  if (misbehaved) return broken(IN_WORDS, `${staged.how}: deno task ${task}: ${misbehaved}`);
  const added = (await filesBelow(work)).filter((path) =>
    !before.includes(path) && !path.startsWith("output/") &&
    !(format.writes && path.startsWith("input/"))
  );
  if (added.length > 0) {
    return broken("nothing is written outside of the output", `deno task ${task} wrote ${added}`);
  }
  return refusalOf(end.stderr)?.trim() === ""
    ? broken(IN_WORDS, `${staged.how}: deno task ${task} refused without a word`)
    : undefined;
}

/** A process that reads damaged files; started when it is needed, and again after it has ended. */
class Child {
  #process?: Deno.ChildProcess;
  #lines?: AsyncIterator<string>;
  #input?: WritableStreamDefaultWriter<Uint8Array>;

  constructor(readonly args: string[], readonly work: string) {}

  async ask(one: Try): Promise<Verdict | "hang" | "memory" | "died"> {
    if (!this.#process) this.#start();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"hang">((resolve) =>
      timer = setTimeout(() => resolve("hang"), 1000 * LONGEST_WAIT)
    );
    await this.#input!.write(new TextEncoder().encode(JSON.stringify(one) + "\n")).catch(() => {});
    const line = await Promise.race([this.#answer(), late]);
    clearTimeout(timer);
    const answer = line === undefined ? "died" : line === "hang" ? "hang" : JSON.parse(line);
    if (typeof answer === "string") this.end();
    return answer;
  }

  end(): void {
    try {
      this.#process?.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    this.#process = undefined;
  }

  #start(): void {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", `--config=${ROOT}deno.json`, "--allow-read"],
        ...[`--allow-write=${this.work}`, "--allow-env", "--allow-sys", "--allow-ffi"],
        ...[fileURLToPath(new URL("mutation-child.ts", import.meta.url)), ...this.args],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#lines = linesOf(this.#process.stdout);
  }

  /** The next answer; undefined if the process ended without one. */
  async #answer(): Promise<string | undefined> {
    while (true) {
      const { value, done } = await this.#lines!.next();
      if (done) return undefined;
      if (value.startsWith(ANSWER)) return value.slice(ANSWER.length);
    }
  }
}

async function* linesOf(stream: ReadableStream<BufferSource>): AsyncGenerator<string> {
  let begun = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (begun + text).split("\n");
    begun = lines.pop()!;
    yield* lines;
  }
}
