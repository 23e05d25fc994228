/** What all campaigns share: tries that can be had again, a log to go on from, and a table at the end. */
import { exists } from "../../data/files/exists.ts";
import type { Expectation } from "./expectations.ts";

/**
 * What came of a try: `refused` with a word for people; `equal` to what comes of undamaged input and
 * undisturbed runs; `changed`: damaged input was taken for something else, which nothing in its format
 * could tell; `finding`: it must not happen.
 */
export const OUTCOMES = ["refused", "equal", "changed", "finding"] as const;
export type Outcome = typeof OUTCOMES[number];

export interface Verdict {
  outcome: Outcome;
  /** What happened, in one line. */
  words: string;
}

/** What has broken an expectation is a finding. */
export function broken(expectation: Expectation, words: string): Verdict {
  return { outcome: "finding", words: `${words} [${expectation}]` };
}

/** With the seed, it tells all that is done. */
export interface Try {
  /** What is tried, such as a format or a command. */
  kind: string;
  index: number;
}

/** Tries of one kind of trouble. */
export interface Campaign extends AsyncDisposable {
  name: string;
  tries: Try[];
  /** How many may run at once. */
  atOnce: number;
  /** What is worth keeping of a finding is written to the folder `keep`. */
  attempt(one: Try, keep: string): Promise<Verdict>;
}

/** A line of the log. */
interface Entry extends Try, Verdict {
  campaign: string;
  seed: number;
  seconds: number;
  /** Where the input of a finding was kept. */
  input?: string;
}

/** The log of campaigns under one seed: a folder with a JSON line a try, and the inputs of findings. */
export class CampaignLog {
  private constructor(readonly dir: string, readonly seed: number, readonly entries: Entry[]) {}

  /** Opens it to go on, or begins it. */
  static async open(dir: string, seed: number): Promise<CampaignLog> {
    await Deno.mkdir(dir, { recursive: true });
    const path = `${dir}/log.jsonl`;
    const text = await exists(path) ? await Deno.readTextFile(path) : "";
    // A line that was cut off has no end; it is tried again.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    await Deno.writeTextFile(path, whole);
    const entries: Entry[] = whole.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    const ours = entries.filter((entry) => entry.seed === seed);
    const latest = new Map(ours.map((entry) => [`${entry.campaign}/${placeOf(entry)}`, entry]));
    return new CampaignLog(dir, seed, [...latest.values()]);
  }

  /** Takes tries for ones that were not made yet; their lines stay in the file, before the new ones. */
  forget(kinds: string[], index: number): void {
    const isMeant = (entry: Entry) => kinds.includes(entry.kind) && entry.index === index;
    this.entries.splice(0, Infinity, ...this.entries.filter((entry) => !isMeant(entry)));
  }

  /** Runs what the log does not hold yet. */
  async run(campaign: Campaign, onEntry: (entry: Entry) => void = () => {}): Promise<void> {
    const { name, tries, atOnce } = campaign;
    const done = new Set(
      this.entries.filter((entry) => entry.campaign === name).map((entry) => placeOf(entry)),
    );
    const left = tries.filter((one) => !done.has(placeOf(one)));
    const work = async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) {
        const keep = `${this.dir}/findings/${name}-${placeOf(one).replaceAll(/[^\w.]+/g, "-")}`;
        const began = performance.now();
        const verdict = await campaign.attempt(one, keep);
        const seconds = Number(((performance.now() - began) / 1000).toFixed(2));
        const input = await exists(keep) ? { input: keep } : {};
        const entry = { campaign: name, ...one, seed: this.seed, ...verdict, seconds, ...input };
        await Deno.writeTextFile(`${this.dir}/log.jsonl`, JSON.stringify(entry) + "\n", {
          append: true,
        });
        this.entries.push(entry);
        onEntry(entry);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }

  get findings(): Entry[] {
    return this.entries.filter(({ outcome }) => outcome === "finding");
  }

  /** A table of the kinds, and a line to have each finding again. */
  summary(): string {
    const kinds = Map.groupBy(this.entries, ({ campaign, kind }) => `${campaign}: ${kind}`);
    const width = Math.max(...[...kinds.keys()].map((kind) => kind.length));
    const row = (cells: (string | number)[]) =>
      cells.map((cell, i) => i === 0 ? String(cell).padEnd(width) : String(cell).padStart(8))
        .join(" ");
    const counts = (entries: Entry[]) => [
      entries.length,
      ...OUTCOMES.map((outcome) => entries.filter((entry) => entry.outcome === outcome).length),
    ];
    return [
      row(["", "tried", ...OUTCOMES]),
      ...[...kinds].map(([kind, entries]) => row([kind, ...counts(entries)])),
      row(["all", ...counts(this.entries)]),
      "",
      ...this.findings.map((entry) => `finding: ${describe(entry)}`),
    ].join("\n");
  }
}

/** What happened and how to have it again. */
function describe({ campaign, kind, index, seed, words, input }: Entry): string {
  const again = `--only=${campaign} --kind=${JSON.stringify(kind)} --index=${index} --seed=${seed}`;
  return `${kind}: ${words}\n    deno task test:long ${again}${input ? `\n    ${input}` : ""}`;
}

function placeOf({ kind, index }: Try): string {
  return `${kind}/${index}`;
}

/** A number that depends on a text alone, to draw apart for every kind: FNV-1a. */
export function streamOf({ kind, index }: Try): number {
  let hash = 0x811c9dc5;
  for (const unit of `${kind}/${index}`) {
    hash = Math.imul(hash ^ unit.codePointAt(0)!, 0x01000193);
  }
  return hash >>> 0;
}

/** With what a child's line begins that is an answer to its parent. */
export const ANSWER = "answer: ";
