/**
 * Reads damaged files, one after another, in a process of its own, which may hang or fall. Writing is
 * permitted to it in its work folder alone.
 *
 * Arguments: the folder of the inputs, the work folder, the seed. Each line of its input is a try as
 * JSON; a line of its output that begins with `ANSWER` is its verdict.
 */
import { basename, extname } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { UserError } from "../../mod.ts";
import { ANSWER, broken, type Try, type Verdict } from "./campaign.ts";
import { type Format, FORMATS, type Places, Violation } from "./formats.ts";
import { stage, type Staged, stageDamaged } from "./stage.ts";
import { digestOf, filesBelow, removeFolder } from "./tree.ts";

const [inputs, work, seed] = Deno.args;

/** What is printed is part of what was understood. */
let printed: string[] = [];
console.log = (...parts) => void printed.push(parts.join(" "));

/** A promise that was rejected while nobody waited for it. */
let stray: unknown;
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  stray = event.reason;
});

async function understood(format: Format, places: Places): Promise<string> {
  printed = [];
  Deno.chdir(places.input);
  const result = await format.read(places);
  return digestOf([result, printed]);
}

/** What each format is understood as, undamaged. */
const undamaged = new Map<string, string>();

async function attempt(one: Try): Promise<Verdict> {
  const format = FORMATS.find(({ name }) => name === one.kind)!;
  if (!undamaged.has(format.name)) {
    try {
      undamaged.set(format.name, await understood(format, await stage(format, inputs, work)));
    } catch (error) {
      return broken(IN_WORDS, `undamaged input is refused: ${told(error)}`);
    }
  }
  const staged = await stageDamaged(format, inputs, work, Number(seed), one.index);
  const before = await snapshot(format);
  stray = undefined;
  const verdict = await judge(format, staged);
  await new Promise((resolve) => setTimeout(resolve)); // for promises that nobody awaits
  const words = `${staged.how}: ${verdict.words}`;
  if (stray !== undefined) return broken(IN_WORDS, `${words}; and ${told(stray)}`);
  const outside = await changesSince(before, format);
  if (outside) return broken("nothing is written outside of the output", `${words}; ${outside}`);
  if (staged.leadsOut && verdict.outcome !== "refused" && await isFollowed(format, one.index)) {
    return broken("names inside a folder do not lead out of it", `${words}; followed out of it`);
  }
  return { ...verdict, words };
}

async function judge(format: Format, staged: Staged): Promise<Verdict> {
  try {
    const digest = await understood(format, staged);
    if (digest === undamaged.get(format.name)) return accepted("equal");
    return format.checksum
      ? broken(format.checksum, "accepted as other content")
      : accepted("changed");
  } catch (error) {
    if (error instanceof Violation) return broken(error.expectation, error.message);
    return refusal(error, format, staged);
  }
}

/** Whether a name that leads out of the folder is read: without the files outside, all is as with them. */
async function isFollowed(format: Format, index: number): Promise<boolean> {
  const stageAgain = () => stageDamaged(format, inputs, work, Number(seed), index);
  const beside = await understood(format, await stageAgain());
  const staged = await stageAgain();
  await removeFolder(staged.pristine);
  return await understood(format, staged).then((alone) => alone !== beside, () => true);
}

function accepted(outcome: "equal" | "changed"): Verdict {
  return { outcome, words: "accepted" };
}

/** A refusal is an error for people: short, in words, and it names the file or its folder. */
function refusal(error: unknown, { file }: Format, { input }: Places): Verdict {
  if (!(error instanceof UserError)) return broken(IN_WORDS, told(error));
  const { message } = error;
  const words = message.replaceAll(input, "").slice(0, 300);
  if (/NotCapable|Requires .* access/.test(message)) {
    return broken("nothing is written outside of the output", words);
  }
  const names = [input, ...file.split("/").slice(-2), basename(file, extname(file))];
  const faults = [
    message.length > MOST_WORDS && `a message of ${message.length} characters`,
    message.trim() === "" && "a message without a word",
    !names.some((name) => message.includes(name)) && "the file is not named",
  ].filter((fault) => fault !== false);
  if (faults.length === 0) return { outcome: "refused", words };
  return broken("refusals are short and name the file", `${faults.join(", ")}: ${words}`);
}

const MOST_WORDS = 4000;
const IN_WORDS = "damaged files are refused in words, never by a stack trace";

function told(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error).slice(0, 200)}`;
  const frames = error.stack?.split("\n").filter((line) => /^\s+at .*(?:\.ts|\.js)/.test(line)) ??
    [];
  const place = frames[0]?.trim().replace(/file:\/\/\S*\/(?=\w+\/)/, "") ?? "";
  return `${error.name}: ${error.message.slice(0, 200)} ${place}`;
}

/** Times and sizes of what may not change: all but the output, and the input where it goes on. */
async function snapshot({ writes }: Format): Promise<Map<string, string>> {
  const files = (await filesBelow(work)).filter((path) =>
    !path.startsWith("output/") &&
    !(writes && path.startsWith("input/"))
  );
  const states = files.map(async (path) => {
    const { size, mtime } = await Deno.lstat(`${work}/${path}`);
    return [path, `${size} ${mtime?.getTime()}`] as const;
  });
  return new Map(await Promise.all(states));
}

async function changesSince(before: Map<string, string>, format: Format): Promise<string> {
  const after = await snapshot(format);
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => before.get(path) !== after.get(path)).join(", ");
}

const watch = new Worker(new URL("mutation-watch.ts", import.meta.url), { type: "module" });

for await (const line of createInterface({ input: process.stdin })) {
  watch.postMessage("again");
  const verdict = await attempt(JSON.parse(line));
  Deno.stdout.writeSync(new TextEncoder().encode(`\n${ANSWER}${JSON.stringify(verdict)}\n`));
}
Deno.exit();
