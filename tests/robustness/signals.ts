/**
 * Runs that are told to end, as clusters do before they take a machine: they save, end with the
 * signal's status, and go on to the same bits. So they do below `deno task` and `npx`; and one whose
 * parent was killed does not train on unseen.
 */
import { Random } from "../../data/random.ts";
import { readMetrics } from "../../mod.ts";
import { broken, type Campaign, streamOf, type Verdict } from "./campaign.ts";
import { commandOf, ended, misbehaviour, start } from "./commands.ts";
import { copyFolder, filesBelow, removeFolder } from "./tree.ts";
import {
  difference,
  leftIn,
  runIn,
  type Undisturbed,
  undisturbedOnce,
  type WritingCommand,
} from "./writing-commands.ts";

const STATUS = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 } as const;
type Signal = keyof typeof STATUS;

/** What stands between the one who gives the signal and the run. */
const LAUNCHERS = ["", "deno task", "npx deno task"] as const;
type Launcher = typeof LAUNCHERS[number];

const ORPHANED = "parent killed";

/**
 * @param root a folder that the arguments of every command name, and no other process
 * @param count signals, over commands, signals and launchers in turn
 */
export async function signals(
  root: string,
  seed: number,
  commands: WritingCommand[],
  count: number,
): Promise<Campaign> {
  const long = commands.filter(({ name }) => ["pretrain", "sft", "dpo"].includes(name)).map(longer);
  const whole = undisturbedOnce(`${root}/whole`);
  const kinds = await kindsOf(long);
  return {
    name: "signals",
    atOnce: 1,
    tries: Array.from(
      { length: count },
      (_, index) => ({ kind: kinds[index % kinds.length], index }),
    ),
    async attempt(one, keep) {
      const [name, how, launcher = ""] = one.kind.split(", ") as [string, string, Launcher];
      const command = long.find((each) => each.name === name)!;
      const dir = `${root}/signalled`;
      await removeFolder(dir);
      await Deno.mkdir(dir);
      const random = new Random(seed, streamOf(one));
      const verdict = how === ORPHANED
        ? await orphan(command, root, dir, random)
        : await signal(await whole(command), root, dir, how as Signal, launcher, random);
      if (verdict.outcome === "finding") await copyFolder(dir, keep);
      return verdict;
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Steps that are enough for a run to be met in their midst. */
const STEPS = 60;

/**
 * A run with fewer steps left may be at its end before it hears of the signal: below `npx`, which
 * passes on no SIGTERM, it hears of it by looking for its parent once a second.
 */
const HEARD_WITHIN = 25;

/** A run that saves at its end alone, unless it is told to end. */
function longer({ name, command }: WritingCommand): WritingCommand {
  const rare = ["--train.checkpointEvery=100000", "--train.validateEvery=100000"];
  return { name, command: [...command, ...rare, `--train.steps=${STEPS}`] };
}

async function kindsOf(commands: WritingCommand[]): Promise<string[]> {
  const hasNpx = await new Deno.Command("npx", { args: ["--version"] }).output()
    .then(({ success }) => success, () => false);
  const launched = LAUNCHERS.filter((launcher) => hasNpx || !launcher.startsWith("npx"));
  const of = (how: string, launcher = "") =>
    commands.map(({ name }) => [name, how, launcher].filter(Boolean).join(", "));
  const [direct, ...others] = launched.map((launcher) => [
    ...of("SIGTERM", launcher),
    ...of("SIGHUP", launcher),
  ]);
  return [...direct, ...of("SIGINT"), ...others.flat(), ...of(ORPHANED, "deno task")];
}

async function signal(
  command: Undisturbed,
  root: string,
  dir: string,
  signal: Signal,
  launcher: Launcher,
  random: Random,
): Promise<Verdict> {
  const child = start(await launch(command.command, root, dir, launcher), dir);
  const end = ended(child, 1800);
  const step = await moment(dir, end, random, command.seconds);
  try {
    child.kill(signal);
  } catch {
    return { outcome: "equal", words: "it ended before" };
  }
  const { status, ...rest } = await end;
  const last = lastSaved(await filesBelow(dir));
  await reap(root); // what a launcher has left behind
  const after = `${signal} after step ${step}`;
  const isDone = last === STEPS && STEPS - step < HEARD_WITHIN;
  const faults = [
    misbehaviour({ ...rest, status: 0 }),
    status !== STATUS[signal] && !(isDone && status === 0) &&
    `status ${status}, expected ${STATUS[signal]}`,
    last < step && (last === 0 ? "nothing is saved" : `step ${last} is saved`),
    last === STEPS && !isDone && "it trained on to its end",
  ].filter((fault) => typeof fault === "string");
  const again = await runIn(command, dir);
  const differs = misbehaviour(again) ?? difference(command.left, await leftIn(dir));
  if (differs !== undefined) {
    return broken(
      "a command that was killed ends the same when it is given again",
      `${after}, given again: ${differs}`,
    );
  }
  if (faults.length === 0) return { outcome: "equal", words: after };
  const expectation = signal === "SIGINT"
    ? "SIGINT saves, with status 130"
    : "SIGTERM and SIGHUP save, with status 143 and 129";
  return broken(expectation, `${after}: ${faults.join("; ")}`);
}

/** Kills what started a run that would go on for hours. */
async function orphan(
  command: WritingCommand,
  root: string,
  dir: string,
  random: Random,
): Promise<Verdict> {
  const child = start(
    await launch([...command.command, "--train.steps=1000000"], root, dir, "deno task"),
    dir,
  );
  const end = ended(child, 600);
  const step = await moment(dir, end, random, 0);
  child.kill("SIGKILL");
  await child.status;
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline && (await processesNaming(root)).length > 0) await pause(200);
  const last = lastSaved(await filesBelow(dir));
  const left = await reap(root);
  await end; // what it started has held its output open
  const faults = [left > 0 && "it trains on after 20 s", last < step && "nothing is saved"]
    .filter((fault) => fault !== false);
  const words = [`parent killed after step ${step}`, ...faults].join(": ");
  if (faults.length === 0) return { outcome: "equal", words };
  return broken("a run whose parent was killed saves and ends", words);
}

/** The command that launches another in the folder `dir`, by a task of its own in the folder `root`. */
async function launch(
  [task, ...args]: string[],
  root: string,
  dir: string,
  launcher: Launcher,
): Promise<string[]> {
  const words = await commandOf(task, args);
  if (launcher === "") return words;
  const config = `${root}/deno.json`;
  await Deno.writeTextFile(config, JSON.stringify({ tasks: { train: words.join(" ") } }));
  const deno = launcher === "deno task"
    ? [Deno.execPath()]
    : ["npx", "-y", `deno@${Deno.version.deno}`];
  return [...deno, "task", "--quiet", `--config=${config}`, `--cwd=${dir}`, "train"];
}

/** Waits for a random step, or now and then for a random time; returns the last step measured. */
async function moment(
  dir: string,
  end: Promise<unknown>,
  random: Random,
  seconds: number,
): Promise<number> {
  let isOver = false;
  end.then(() => isOver = true);
  const measured = () => readMetrics(`${dir}/run/metrics.jsonl`).at(-1)?.step ?? 0;
  if (seconds > 0 && random.below(4) === 0) {
    await Promise.race([end, pause(1000 * seconds * random.uniform())]);
  } else {
    const step = 1 + random.below(30);
    while (!isOver && measured() < step) await pause(5);
  }
  return measured();
}

function lastSaved(paths: string[]): number {
  const steps = paths.map((path) => /^run\/checkpoints\/step-(\d+)\/config\.json$/.exec(path)?.[1]);
  return Math.max(0, ...steps.map((step) => Number(step ?? 0)));
}

async function processesNaming(path: string): Promise<number[]> {
  const { stdout } = await new Deno.Command("pgrep", { args: ["-f", path] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").filter(Boolean).map(Number);
}

/** Kills them, and says how many there were. */
async function reap(root: string): Promise<number> {
  const pids = await processesNaming(root);
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
  await pause(200);
  return pids.length;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
