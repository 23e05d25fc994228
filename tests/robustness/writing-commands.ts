/** Every command that writes, on small inputs, and what it leaves when nothing disturbs it. */
import { Random } from "../../data/random.ts";
import { readMetrics } from "../../mod.ts";
import { tinyRun } from "../train/tiny-run.ts";
import { commandOf, type Ended, run } from "./commands.ts";
import { copyFolder, digestOf, filesBelow, removeFolder } from "./tree.ts";

export interface WritingCommand {
  name: string;
  /** Task and arguments; it writes into the current folder. */
  command: [task: string, ...args: string[]];
  /** Puts into the current folder what is to be there. */
  before?: (dir: string) => Promise<void>;
}

/** A command that has run to its end once. */
export interface Undisturbed extends WritingCommand {
  seconds: number;
  /** Bytes of all that it wrote. */
  bytes: number;
  /** What its folder then holds: hashes by path. */
  left: Record<string, string>;
}

/** The commands, and what they work on in the folder `dir`, which the arguments of training name. */
export async function writingCommands(dir: string, inputs: string): Promise<WritingCommand[]> {
  await Deno.mkdir(dir, { recursive: true });
  const [one, two] = await Promise.all(
    [1, 2].map((seed) => writeTexts(`${dir}/${seed}.jsonl`, seed)),
  );
  const mixture = `${dir}/mixture.yaml`;
  const sources = [
    `{ name: one, files: ${one}, recipe: steel-zh }`,
    `{ name: two, files: ${two} }`,
  ];
  await Deno.writeTextFile(
    mixture,
    `sequence: 63\nsources:\n${sources.map((s) => `  - ${s}\n`).join("")}`,
  );
  const model = `${inputs}/run/run`;
  const tokenizer = `--tokenizer=${inputs}/model/tokenizer.json`;
  const data = (name: string, ...args: string[]): WritingCommand => ({
    name: `data ${name}`,
    command: ["data", name, ...args, "--workers=2"],
  });
  return [
    { name: "pretrain", command: ["pretrain", ...await pretraining(dir, "--sample.tokens=2")] },
    {
      name: "sft",
      command: [
        "sft",
        ...tuning(model),
        `--data.dir=${dir}`,
        `--data.sets=${inputs}/sets/alpaca.json`,
      ],
    },
    {
      name: "dpo",
      command: [
        "dpo",
        ...tuning(model),
        `--data.dir=${inputs}/sets`,
        `--data.dir=${dir}`,
        "--data.sets=pairs",
      ],
    },
    { name: "export", command: ["export", `--model=${model}`, "--output=out"] },
    data(
      "clean",
      "--recipe=steel-zh",
      `--input=${one}`,
      `--input=${two}`,
      "--output=out.jsonl",
      "--stats=stats.jsonl",
      "--trace=trace.jsonl",
    ),
    data("dedup", `--input=${one}`, `--input=${two}`, "--output=out.jsonl"),
    data(
      "tokenize",
      `--input=${one}`,
      `--input=${two}`,
      "--output=out",
      tokenizer,
      "--sequence=63",
    ),
    data("prepare", `--settings=${mixture}`, "--output=out", tokenizer),
    {
      name: "eval",
      command: [
        "eval",
        "exam",
        `--model=${model}`,
        `--data=${inputs}/exam`,
        "--shots=1",
        "--out=out",
        "--batch=1",
      ],
    },
    {
      name: "report",
      command: ["report", "run"],
      before: (dir) => copyFolder(model, `${dir}/run`),
    },
  ];
}

/** Finds out, once for each command, what it leaves undisturbed, in a folder below `dir`. */
export function undisturbedOnce(dir: string): (command: WritingCommand) => Promise<Undisturbed> {
  const known = new Map<string, Promise<Undisturbed>>();
  return ({ name, ...command }) => {
    const found = known.get(name) ?? undisturbed({ name, ...command }, `${dir}/${name}`);
    known.set(name, found);
    return found;
  };
}

async function undisturbed(command: WritingCommand, dir: string): Promise<Undisturbed> {
  const { status, stderr, seconds } = await runIn(command, dir);
  if (status !== 0) throw new Error(`${command.name} fails undisturbed: ${stderr}`);
  const sizes = await Promise.all(
    (await filesBelow(dir)).map(async (path) => (await Deno.stat(`${dir}/${path}`)).size),
  );
  const bytes = sizes.reduce((sum, size) => sum + 4096 * Math.ceil(size / 4096), 0);
  return { ...command, seconds, bytes, left: await leftIn(dir) };
}

/** Runs a command in a folder, which is made ready unless it is there. */
export async function runIn({ command, before }: WritingCommand, dir: string): Promise<Ended> {
  await makeReady({ before }, dir);
  const [task, ...args] = command;
  return await run(await commandOf(task, args), dir);
}

export async function makeReady({ before }: Pick<WritingCommand, "before">, dir: string) {
  await Deno.mkdir(dir, { recursive: true });
  if ((await filesBelow(dir)).length > 0) return;
  try {
    await before?.(dir);
  } catch (error) {
    await removeFolder(dir); // half of its inputs would pass for all of them
    throw error;
  }
}

/** What a folder holds, without what differs from run to run: hashes by path. */
export async function leftIn(dir: string): Promise<Record<string, string>> {
  const left: Record<string, string> = {};
  for (const path of await filesBelow(dir)) left[path] = digestOf(await lasting(`${dir}/${path}`));
  return left;
}

/** How two folders differ, in words; undefined if they do not. */
export function difference(
  expected: Record<string, string>,
  found: Record<string, string>,
): string | undefined {
  const list = (what: string, paths: string[]) =>
    paths.length === 0 ? [] : [`${what} ${paths.join(", ")}`];
  const words = [
    ...list("lacks", Object.keys(expected).filter((path) => !(path in found))),
    ...list("has", Object.keys(found).filter((path) => !(path in expected))),
    ...list(
      "differs in",
      Object.keys(found).filter((path) => path in expected && expected[path] !== found[path]),
    ),
  ];
  return words.length === 0 ? undefined : words.join("; ").slice(0, 600);
}

/** Times and speeds, by name, and a checksum of what holds them. */
const PASSING = new Set(["seconds", "speed", "began", "commit", "ranks", "resultSum"]);

async function lasting(path: string): Promise<unknown> {
  if (path.endsWith("/metrics.jsonl")) {
    // A run that is told to end validates once more than others do.
    const steps = readMetrics(path);
    return [steps.map(({ step, loss }) => [step, loss]), steps.at(-1)?.validationLoss];
  }
  // Pictures of metrics, and texts that name times and memory.
  if (/\.svg$|\/facts\.json$|\/messages\.jsonl$|report\.html$/.test(path)) return "there";
  if (!path.endsWith(".json")) return await Deno.readFile(path);
  const text = await Deno.readTextFile(path);
  try {
    return JSON.parse(text, (key, value) => PASSING.has(key) ? undefined : value);
  } catch {
    return text;
  }
}

/** Arguments of a short run of pretraining into `run`. */
export async function pretraining(dir: string, ...more: string[]): Promise<string[]> {
  return [...await tinyRun(dir), "--run.dir=run", "--train.keepCheckpoints=1", ...more];
}

function tuning(model: string): string[] {
  return [
    ...[`--model.path=${model}`, "--data.heldOut=0", "--data.cutoff=64", "--train.batch=2"],
    ...["--train.microBatch=2", "--train.steps=6", "--train.checkpointEvery=2", "--run.dir=run"],
    ...["--train.validateEvery=6", "--train.precision=f32", "--train.keepCheckpoints=1"],
  ];
}

/** Documents of made-up words, so many that commands are at them for a while. */
async function writeTexts(path: string, seed: number): Promise<string> {
  const random = new Random(seed);
  const word = () =>
    String.fromCharCode(...Array.from({ length: 2 }, () => 0x4E00 + random.below(3000)));
  const text = () =>
    Array.from({ length: 40 }, () => word()).join("").replace(/(.{17})/g, "$1，") + "。";
  const lines = Array.from({ length: 2000 }, () => JSON.stringify({ text: text() }) + "\n");
  await Deno.writeTextFile(path, lines.join(""));
  return path;
}
