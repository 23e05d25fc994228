import {
  type Curve,
  lastOf,
  lineChart,
  type Point,
  pointsOf,
  shareChart,
} from "../../data/page/charts.ts";
import { lossChart } from "../../data/page/loss-chart.ts";
import type { PageBlock } from "../../data/page/page.ts";
import { FailureSignatures } from "../host/failure-signatures.ts";
import type { StepMetrics } from "../host/step-metrics.ts";
import type { Sample } from "../host/samples-file.ts";
import type { Stage } from "./stage-folder.ts";
import { countText, decimals, percent, trainingTime } from "./stage-numbers.ts";

/** Measurements that are drawn together or have a unit; all others are drawn alone. */
const CHARTS: { title: string; unit: string; curves: Record<string, string> }[] = [
  {
    title: "Rewards",
    unit: "",
    curves: { chosenReward: "chosen", rejectedReward: "rejected", margin: "margin" },
  },
  {
    title: "Pairs with the larger reward on the chosen answer",
    unit: "",
    curves: { accuracy: "" },
  },
  {
    title: "Log-probabilities",
    unit: "nats an answer",
    curves: { chosenLogProb: "chosen", rejectedLogProb: "rejected" },
  },
  { title: "Gradient norm before clipping", unit: "", curves: { gradientNorm: "" } },
  { title: "Learning rate", unit: "", curves: { learningRate: "" } },
  { title: "Speed", unit: "tokens/s", curves: { tokensPerSecond: "" } },
  { title: "Share of a step that waited for other GPUs", unit: "", curves: { shareWaited: "" } },
];

/** What validations measure of each layer that divides tokens among slots or experts. */
const LAYER_TITLES: Record<string, string> = {
  combineEntropy: "Entropy of combine by layer (1: all slots alike)",
  dispatchEntropy: "Entropy of dispatch by layer (1: all tokens alike)",
  leastUse: "Use of the least used slot by layer (1: a fair share)",
  mostUse: "Use of the most used slot by layer (above 1: it dominates)",
};

/** Measurements that are told elsewhere. */
const SHOWN_APART = new Set(["step", "tokens", "seconds", "gpus", "loss", "validationLoss"]);

/** A stage: its figures, curves, data, samples, machine and settings. */
export function stageBlocks(stage: Stage): PageBlock[] {
  const heading = { kind: "heading", level: 2, text: stage.name } as const;
  return [heading, figuresBlock(stage), ...detailBlocks(stage)];
}

/** All of a stage but its heading and its figures. */
export function detailBlocks(stage: Stage): PageBlock[] {
  const { metrics, facts, settings } = stage;
  return [
    ...signatureBlocks(stage),
    ...lossBlocks(stage),
    ...measurementBlocks([{ name: "", metrics }]),
    ...mixtureBlocks(stage.mixture),
    ...sampleBlocks(stage.samples),
    ...wordsTable(["machine and run", ""], facts.others),
    ...wordsTable(["setting", "value"], inOneLevel(settings), "Settings"),
  ];
}

function figuresBlock({ metrics, facts }: Stage): PageBlock {
  const speed = medianOf(metrics, "tokensPerSecond");
  const gpus = lastOf(metrics, "gpus");
  const figures = {
    "steps": countText(lastOf(metrics, "step")),
    "tokens trained on": countText(lastOf(metrics, "tokens")),
    "trained for": trainingTime(metrics) ?? "",
    "training loss": decimals(lastOf(metrics, "loss")),
    "validation loss": decimals(lastOf(metrics, "validationLoss")),
    "unigram entropy": decimals(facts.unigramEntropy),
    "exam before": percent(facts.examBefore),
    "exam after": percent(facts.examAfter),
    "tokens/s, median": countText(speed),
    "GPUs": countText(gpus),
    "tokens/s a GPU, median": countText(gpus && speed && speed / gpus),
    "waited for other GPUs, median": percent(medianOf(metrics, "shareWaited")),
  };
  return {
    kind: "figures",
    figures: Object.entries(figures).filter(([, value]) => value !== "")
      .map(([label, value]) => ({ label, value })),
  };
}

function medianOf(metrics: readonly StepMetrics[], key: string): number | undefined {
  const values = pointsOf(metrics, key).map(([, value]) => value).sort((a, b) => a - b);
  return values[values.length >> 1];
}

/** What the run told of its metrics while it trained: signatures of failures, if there were any. */
export function signatureBlocks({ task, metrics, settings, mixture }: Stage): PageBlock[] {
  const steps = Number(settings.train?.steps) || metrics.at(-1)?.step;
  const shares = sharesOf(mixture).join(", ");
  const context = task === "sft"
    ? {
      plateauWithin: steps,
      languages: shares === "" ? undefined : `It is fine-tuned on ${shares}`,
    }
    : {};
  const signatures = new FailureSignatures(context);
  const items = metrics.flatMap((line) => signatures.observe(line))
    .map(({ step, text }) => `Step ${step}: ${text}`);
  if (items.length === 0) return [];
  return [
    { kind: "heading", level: 3, text: "What the metrics show" },
    { kind: "list", items },
  ];
}

function lossBlocks({ metrics, facts: { unigramEntropy } }: Stage): PageBlock[] {
  const training = pointsOf(metrics, "loss");
  const validation = pointsOf(metrics, "validationLoss");
  if (training.length === 0) return [];
  const unit = lossUnit(metrics);
  const told = [
    `training ${fromTo(training)}`,
    ...(validation.length > 0 ? [`validation ${fromTo(validation)}`] : []),
    ...(unigramEntropy === undefined ? [] : [`unigram entropy ${unigramEntropy.toFixed(3)}`]),
  ];
  return [{
    kind: "chart",
    title: "Loss",
    chart: lossChart({ training, validation, unit, unigramEntropy }),
    caption: `Loss, ${unit}: ${told.join("; ")}`,
  }];
}

/** The loss of preference optimization is of two answers, whatever their length. */
export function lossUnit(metrics: readonly StepMetrics[]): string {
  return lastOf(metrics, "chosenReward") === undefined ? "nats a token" : "by pair of answers";
}

function fromTo(points: Point[]): string {
  const [[firstStep, first], [lastStep, last]] = [points[0], points.at(-1)!];
  return `from ${first.toFixed(3)} at step ${firstStep} to ${last.toFixed(3)} at step ${lastStep}`;
}

/** What else was measured: a chart for each, with a curve for each of the runs. */
export function measurementBlocks(
  runs: readonly Pick<Stage, "name" | "metrics">[],
): PageBlock[] {
  const measured = new Set(runs.flatMap(({ metrics }) => metrics.flatMap(Object.keys)));
  const known = new Set(CHARTS.flatMap(({ curves }) => Object.keys(curves)));
  const rest = [...measured].filter((key) => !SHOWN_APART.has(key) && !known.has(key));
  // `leastUse.3` is what was measured of layer 3: all layers share a chart.
  const others = [...Map.groupBy(rest, (key) => key.split(".")[0])].map(([name, keys]) => ({
    title: LAYER_TITLES[name] ?? inWords(name),
    unit: "",
    curves: Object.fromEntries(keys.map((key) => [key, key.split(".")[1] ?? ""])),
  }));
  return [...CHARTS, ...others].flatMap(({ title, unit, curves }) => {
    const shown = runs.flatMap((run) =>
      Object.entries(curves).map(([key, name]) => ({
        name: [run.name, name].filter(Boolean).join(" "),
        points: pointsOf(run.metrics, key),
        look: "thin" as const,
      }))
    ).filter(({ points }) => points.length > 0);
    if (shown.length === 0) return [];
    return [{
      kind: "chart" as const,
      title,
      chart: lineChart({ curves: shown, unit }),
      small: true,
      caption: `${[title, unit].filter(Boolean).join(", ")}: ${shown.map(range).join("; ")}`,
    }];
  });
}

/** Such as `chosen 0.1 to 2.5, 2.4 at the end`. */
function range({ name, points }: Curve): string {
  const values = points.map(([, value]) => value);
  const short = (value: number) => String(Number(value.toPrecision(4)));
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  return `${name && `${name} `}${short(least)} to ${short(most)}, ${
    short(values.at(-1)!)
  } at the end`;
}

/** `lossScale` as `Loss scale`. */
function inWords(key: string): string {
  const words = key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** Such as `poetry 80.0 %`, of each part that there is any of. */
function sharesOf(tokens: Record<string, number>): string[] {
  const parts = Object.entries(tokens).filter(([, count]) => count > 0);
  const total = parts.reduce((sum, [, count]) => sum + count, 0);
  return parts.map(([name, count]) => `${name} ${(100 * count / total).toFixed(1)} %`);
}

function mixtureBlocks(tokens: Record<string, number>): PageBlock[] {
  const parts = Object.entries(tokens).filter(([, count]) => count > 0);
  if (parts.length === 0) return [];
  const shares = sharesOf(tokens);
  return [{
    kind: "chart",
    title: "Data",
    chart: shareChart(Object.fromEntries(parts)),
    caption: `Share of the tokens: ${shares.join(", ")}`,
  }];
}

/** The texts that a model wrote. */
export function sampleBlocks(samples: Sample[]): PageBlock[] {
  if (samples.length === 0) return [];
  return [
    { kind: "heading", level: 3, text: "What it writes" },
    ...samples.map(({ question, text }): PageBlock =>
      question === undefined ? { kind: "quote", text } : {
        kind: "chat",
        turns: [{ speaker: "user", text: question }, { speaker: "model", text }],
      }
    ),
  ];
}

function wordsTable(
  columns: [string, string],
  values: Record<string, string>,
  summary?: string,
): PageBlock[] {
  const rows = Object.entries(values);
  if (rows.length === 0) return [];
  return [{ kind: "table", table: { title: "", columns, rows, notes: [] }, summary }];
}

/** Settings by `section.key`, as text. */
function inOneLevel(settings: Stage["settings"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([section, values]) =>
      Object.entries(values).map(([key, value]) => [
        `${section}.${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ])
    ),
  );
}
