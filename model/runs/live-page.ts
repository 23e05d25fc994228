import { lastOf, pointsOf } from "../../data/page/charts.ts";
import { lossesChart } from "../../data/page/loss-chart.ts";
import type { Figure, Page, PageBlock } from "../../data/page/page.ts";
import type { Table } from "../../data/page/table.ts";
import { timeText } from "../../data/progress/time-text.ts";
import { formatBytes } from "../../kernels/runtime/memory.ts";
import type { RunMessage } from "./run-messages.ts";
import {
  detailBlocks,
  lossUnit,
  measurementBlocks,
  sampleBlocks,
  signatureBlocks,
} from "./stage-blocks.ts";
import type { Stage } from "./stage-folder.ts";
import { countText, dateText, decimals, percent } from "./stage-numbers.ts";

/** A run as it is now. */
export interface WatchedRun extends Stage {
  /** What it said. */
  readonly messages: readonly RunMessage[];
  /** When it measured last, in milliseconds since 1970. */
  readonly changed: number;
}

/** The speed of the moment is that of so many steps. */
const RECENT_STEPS = 20;
/** A run that has measured nothing for so long, and for so many steps' time, is not running. */
const SILENCE = { milliseconds: 60_000, steps: 20 };
/** Of messages, so many are shown. */
const SHOWN_MESSAGES = 20;

/** Whether a run goes on, in words: it depends on the time of day. */
export function stateOf(run: WatchedRun, now: number): string {
  const done = lastOf(run.metrics, "step") ?? 0;
  const steps = stepsOf(run);
  if (steps !== undefined && done >= steps) return "finished";
  const usual = 1000 * (recent(run, "seconds") ?? 0);
  const silence = now - run.changed;
  if (silence < Math.max(SILENCE.milliseconds, SILENCE.steps * usual)) return "running";
  return `nothing new since ${dateText(new Date(run.changed).toISOString())}`;
}

/**
 * The page about runs: one with all that is known of it, several on one axis.
 *
 * @param title what is watched
 * @param trouble why what is shown may be old, or why there is nothing
 */
export function livePage(
  title: string,
  runs: readonly WatchedRun[],
  now: number,
  trouble?: string,
): Page {
  const warning: PageBlock[] = trouble === undefined ? [] : [{ kind: "text", text: trouble }];
  const [run, ...others] = runs;
  if (run === undefined) return { title, blocks: warning };
  if (others.length === 0) {
    return {
      title: run.name,
      blocks: [...warning, ...nowBlocks(run, now), ...detailBlocks(run)],
    };
  }
  return { title, blocks: [...warning, ...togetherBlocks(runs, now)] };
}

function nowBlocks(run: WatchedRun, now: number): PageBlock[] {
  const figures: Figure[] = Object.entries({
    "now": stateOf(run, now),
    "step": progressOf(run),
    "time left": timeLeft(run, now),
    ...lossesOf(run),
    "learning rate": lastOf(run.metrics, "learningRate")?.toExponential(2) ?? "",
    "tokens/s": countText(recent(run, "tokensPerSecond")),
    "share of peak": percent(recent(run, "shareOfPeak")),
    "gradient norm": lastOf(run.metrics, "gradientNorm")?.toPrecision(3) ?? "",
    "GPU memory": memoryOf(run),
    "tokens trained on": countText(lastOf(run.metrics, "tokens")),
  }).filter(([, value]) => value !== "").map(([label, value]) => ({ label, value }));
  return [{ kind: "figures", figures }, ...messageBlocks(run)];
}

function togetherBlocks(runs: readonly WatchedRun[], now: number): PageBlock[] {
  const units = new Set(runs.map(({ metrics }) => lossUnit(metrics)));
  // Losses of different kinds have no axis in common.
  const losses = [...units].map((unit): PageBlock => {
    const ofUnit = runs.filter(({ metrics }) => lossUnit(metrics) === unit);
    const curves = ofUnit.map(({ name, metrics }) => ({
      name,
      training: pointsOf(metrics, "loss"),
    }))
      .filter(({ training }) => training.length > 0);
    return {
      kind: "chart",
      title: "Loss",
      chart: lossesChart(curves, unit),
      caption: `Loss, ${unit}, means over steps: ${
        ofUnit.map(({ name, metrics }) => `${name} ${decimals(lastOf(metrics, "loss"))}`).join("; ")
      }`,
    };
  });
  return [
    { kind: "table", table: runsTable(runs, now), cards: true },
    ...losses,
    ...measurementBlocks(runs),
    ...runs.flatMap((run): PageBlock[] => {
      const blocks = [
        ...signatureBlocks(run),
        ...messageBlocks(run),
        ...sampleBlocks(run.samples),
      ];
      return blocks.length === 0 ? [] : [{ kind: "heading", level: 2, text: run.name }, ...blocks];
    }),
  ];
}

function runsTable(runs: readonly WatchedRun[], now: number): Table {
  const rows = runs.map((run) => ({
    "now": stateOf(run, now),
    "step": progressOf(run),
    "time left": timeLeft(run, now),
    ...lossesOf(run),
    "tokens/s": countText(recent(run, "tokensPerSecond")),
    "GPU memory": memoryOf(run),
  }));
  const names = Object.keys(rows[0]) as (keyof (typeof rows)[0])[];
  const known = names.filter((name) => rows.some((row) => row[name] !== ""));
  return {
    title: "",
    columns: ["run", ...known],
    rows: rows.map((row, i) => [runs[i].name, ...known.map((name) => row[name])]),
    notes: [],
  };
}

function lossesOf({ metrics }: WatchedRun) {
  return {
    "loss": decimals(lastOf(metrics, "loss")),
    "validation loss": decimals(lastOf(metrics, "validationLoss")),
  };
}

function messageBlocks({ messages }: WatchedRun): PageBlock[] {
  const shown = messages.slice(-SHOWN_MESSAGES).toReversed();
  if (shown.length === 0) return [];
  const items = shown.map(({ time, text }) => `${dateText(time)}: ${text}`);
  const summary = messages.length === 1
    ? `One message: ${shown[0].text}`
    : `${messages.length} messages, the last: ${shown[0].text}`;
  return [{ kind: "list", items, summary }];
}

function stepsOf({ settings }: WatchedRun): number | undefined {
  const steps = settings.train?.steps;
  return typeof steps === "number" && steps > 0 ? steps : undefined;
}

function progressOf(run: WatchedRun): string {
  const done = lastOf(run.metrics, "step") ?? 0;
  const steps = stepsOf(run);
  return steps === undefined ? countText(done) : `${countText(done)} of ${countText(steps)}`;
}

function timeLeft(run: WatchedRun, now: number): string {
  const steps = stepsOf(run);
  const seconds = recent(run, "seconds");
  if (steps === undefined || seconds === undefined || stateOf(run, now) !== "running") return "";
  return timeText(seconds * (steps - (lastOf(run.metrics, "step") ?? 0)));
}

function memoryOf({ facts: { memoryBytes } }: WatchedRun): string {
  return memoryBytes === undefined ? "" : formatBytes(memoryBytes);
}

/** The median of a measurement over the latest steps: a validation or a checkpoint is no outlier of it. */
function recent({ metrics }: WatchedRun, name: string): number | undefined {
  const values = metrics.slice(-RECENT_STEPS).flatMap(({ [name]: value }) => value ?? []);
  return values.sort((a, b) => a - b)[values.length >> 1];
}
