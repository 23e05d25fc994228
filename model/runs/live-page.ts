import { lastOf, pointsOf } from "../../data/page/charts.ts";
import { lossesChart } from "../../data/page/loss-chart.ts";
import type { Figure, Page, PageBlock } from "../../data/page/page.ts";
import type { Table } from "../../data/page/table.ts";
import { type PageText, type Words, words } from "../../data/page/words.ts";
import { timeText } from "../../data/progress/time-text.ts";
import { formatBytes } from "../../kernels/runtime/memory.ts";
import type { RunMessage } from "./run-messages.ts";
import {
  captionOf,
  detailBlocks,
  LOSS,
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

const RUNNING = words("running", "训练中");
const FINISHED = words("finished", "已结束");

/** Whether a run goes on, in words: it depends on the time of day. */
export function stateOf(run: WatchedRun, now: number): Words {
  const done = lastOf(run.metrics, "step") ?? 0;
  const steps = stepsOf(run);
  if (steps !== undefined && done >= steps) return FINISHED;
  const usual = 1000 * (recent(run, "seconds") ?? 0);
  const silence = now - run.changed;
  if (silence < Math.max(SILENCE.milliseconds, SILENCE.steps * usual)) return RUNNING;
  const since = dateText(new Date(run.changed).toISOString());
  return words(`nothing new since ${since}`, `自 ${since} 起无新数据`);
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
  trouble?: PageText,
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
  const { metrics } = run;
  const figures: Figure[] = [
    ...progressFigures(run, now),
    {
      label: words("learning rate", "学习率"),
      value: lastOf(metrics, "learningRate")?.toExponential(2) ?? "",
    },
    speedOf(run),
    { label: words("share of peak", "占峰值"), value: percent(recent(run, "shareOfPeak")) },
    {
      label: words("gradient norm", "梯度范数"),
      value: lastOf(metrics, "gradientNorm")?.toPrecision(3) ?? "",
    },
    memoryOf(run),
    { label: words("tokens trained on", "训练词元"), value: countText(lastOf(metrics, "tokens")) },
  ];
  return [
    { kind: "figures", figures: figures.filter(({ value }) => value !== "") },
    ...messageBlocks(run),
  ];
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
      title: LOSS,
      chart: lossesChart(curves, unit),
      caption: captionOf(
        [LOSS, unit, words("means over steps", "多步均值")],
        ofUnit.map(({ name, metrics }) => `${name} ${decimals(lastOf(metrics, "loss"))}`),
      ),
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
  const rows = runs.map((run) => [...progressFigures(run, now), speedOf(run), memoryOf(run)]);
  const isKnown = (_: unknown, column: number) => rows.some((row) => row[column].value !== "");
  return {
    title: "",
    columns: [words("run", "训练"), ...rows[0].filter(isKnown).map(({ label }) => label)],
    rows: rows.map((row, i) => [
      runs[i].name,
      ...row.filter(isKnown).map(({ value }) => value),
    ]),
    notes: [],
  };
}

/** How far a run is, and how well it does; a figure that is not known is empty. */
function progressFigures(run: WatchedRun, now: number): Figure[] {
  const { metrics } = run;
  return [
    { label: words("now", "状态"), value: stateOf(run, now) },
    { label: words("step", "步"), value: progressOf(run) },
    { label: words("time left", "剩余时间"), value: timeLeft(run, now) },
    { label: words("loss", "损失"), value: decimals(lastOf(metrics, "loss")) },
    {
      label: words("validation loss", "验证损失"),
      value: decimals(lastOf(metrics, "validationLoss")),
    },
  ];
}

function speedOf(run: WatchedRun): Figure {
  return {
    label: words("tokens/s", "词元/秒"),
    value: countText(recent(run, "tokensPerSecond")),
  };
}

function messageBlocks({ messages }: WatchedRun): PageBlock[] {
  const shown = messages.slice(-SHOWN_MESSAGES).toReversed();
  if (shown.length === 0) return [];
  const items = shown.map(({ time, text }) => `${dateText(time)}: ${text}`);
  const { length: count } = messages;
  const [{ text: last }] = shown;
  const summary = count === 1
    ? words(`One message: ${last}`, `一条消息：${last}`)
    : words(`${count} messages, the last: ${last}`, `${count} 条消息，最近一条：${last}`);
  return [{ kind: "list", items, summary }];
}

function stepsOf({ settings }: WatchedRun): number | undefined {
  const steps = settings.train?.steps;
  return typeof steps === "number" && steps > 0 ? steps : undefined;
}

function progressOf(run: WatchedRun): PageText {
  const done = countText(lastOf(run.metrics, "step") ?? 0);
  const steps = countText(stepsOf(run));
  return steps === "" ? done : words(`${done} of ${steps}`, `${done} / ${steps}`);
}

function timeLeft(run: WatchedRun, now: number): string {
  const steps = stepsOf(run);
  const seconds = recent(run, "seconds");
  if (steps === undefined || seconds === undefined || stateOf(run, now) !== RUNNING) return "";
  return timeText(seconds * (steps - (lastOf(run.metrics, "step") ?? 0)));
}

function memoryOf({ facts: { memoryBytes } }: WatchedRun): Figure {
  return {
    label: words("GPU memory", "显存"),
    value: memoryBytes === undefined ? "" : formatBytes(memoryBytes),
  };
}

/** The median of a measurement over the latest steps: a validation or a checkpoint is no outlier of it. */
function recent({ metrics }: WatchedRun, name: string): number | undefined {
  const values = metrics.slice(-RECENT_STEPS).flatMap(({ [name]: value }) => value ?? []);
  return values.sort((a, b) => a - b)[values.length >> 1];
}
