import type { StepMetrics } from "../../model/host/step-metrics.ts";
import { DEMO_DATA } from "../benchmarks/benchmarks.ts";
import { comparisonTable } from "../compare.ts";
import { accuracyText, categoryTable, heading, headline, subjectTable } from "../result-tables.ts";
import type { Results } from "../results.ts";
import type { Table } from "../table.ts";
import { accuracyChart, lineChart, type Series, shareChart } from "./charts.ts";
import type { Figure, ReportBlock, ReportPage } from "./report-page.ts";
import type { ReportData, Stage } from "./report-data.ts";

/** Titles and units of the measurements that all stages have. */
const MEASUREMENTS: Record<string, { title: string; unit: string }> = {
  gradientNorm: { title: "Gradient norm before clipping", unit: "" },
  learningRate: { title: "Learning rate", unit: "" },
  tokensPerSecond: { title: "Speed", unit: "tokens/s" },
};

/** Measurements with a place of their own. */
const SHOWN_APART = new Set(["step", "tokens", "loss", "validationLoss"]);

/** A report on training and evaluations: settings, data, curves, samples, scores, commands. */
export function report({ folder, stages, evaluations }: ReportData): ReportPage {
  return {
    title: `Report on ${folder}`,
    blocks: [
      { kind: "figures", figures: summary(stages, evaluations) },
      ...stages.flatMap(stageBlocks),
      ...evaluationBlocks(evaluations),
      { kind: "heading", level: 2, text: "To reproduce" },
      { kind: "code", text: commands(folder, stages, evaluations).join("\n") },
      { kind: "text", text: versions() },
    ],
  };
}

function summary(stages: Stage[], evaluations: Results[]): Figure[] {
  return [
    ...stages.map((stage) => ({
      label: `${stage.name}: validation loss`,
      value: lastOf(stage, "validationLoss")?.toFixed(3) ?? "–",
    })),
    ...evaluations.filter(({ scores }) => scores).map((results) => ({
      label: `${shortName(results.model)}: ${results.title}, ${results.protocol}, % right`,
      value: headline(results),
    })),
  ];
}

/** `dpo, step 57` for a run's checkpoint; other folders by their own name. */
function shortName(model: string): string {
  const [, run, step] = /([^/]+)\/checkpoints\/step-0*(\d+)\/?$/.exec(model) ?? [];
  return run === undefined ? model.replace(/\/$/, "").split("/").at(-1)! : `${run}, step ${step}`;
}

function stageBlocks(stage: Stage): ReportBlock[] {
  const { name, metrics, facts, samples, settings } = stage;
  const mixture = Object.fromEntries(
    Object.entries(stage.mixture).filter(([, tokens]) => tokens > 0),
  );
  return [
    { kind: "heading", level: 2, text: name },
    { kind: "figures", figures: stageFigures(stage) },
    ...lossBlocks(stage),
    ...otherMeasurements(metrics).map((key): ReportBlock => measurementBlock(metrics, key)),
    ...(Object.keys(mixture).length > 0
      ? [{
        kind: "chart" as const,
        title: "Data",
        chart: shareChart(mixture),
        caption: `Share of the tokens: ${shares(mixture)}`,
      }]
      : []),
    ...(samples.length > 0
      ? [{ kind: "heading" as const, level: 3 as const, text: "What it writes" }]
      : []),
    ...samples.map((text) => ({ kind: "quote" as const, text })),
    ...factsBlocks(facts),
    ...(Object.keys(settings).length > 0
      ? [{ kind: "table" as const, table: settingsTable(stage), summary: "Settings" }]
      : []),
  ];
}

function stageFigures(stage: Stage): Figure[] {
  const { metrics } = stage;
  const speeds = metrics.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []).sort((a, b) =>
    a - b
  );
  const number = (value: number | undefined, digits = 0) =>
    value?.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }) ??
      "–";
  return [
    { label: "steps", value: number(lastOf(stage, "step")) },
    { label: "tokens trained on", value: number(lastOf(stage, "tokens")) },
    { label: "training loss", value: number(lastOf(stage, "loss"), 3) },
    { label: "validation loss", value: number(lastOf(stage, "validationLoss"), 3) },
    { label: "tokens/s, median", value: number(speeds[speeds.length >> 1]) },
  ];
}

function lossBlocks(stage: Stage): ReportBlock[] {
  const training = series("training", stage.metrics, "loss");
  const validation = series("validation", stage.metrics, "validationLoss");
  if (training.points.length === 0) return [];
  const ends = ({ name, points }: Series) =>
    `${name} from ${points[0][1].toFixed(3)} at step ${points[0][0]} to ` +
    `${points.at(-1)![1].toFixed(3)} at step ${points.at(-1)![0]}`;
  // The loss of preference optimization is of two answers, whatever their length.
  const unit = lastOf(stage, "chosenReward") === undefined ? "nats a token" : "by pair of answers";
  const shown = [training, validation].filter(({ points }) => points.length > 0);
  return [{
    kind: "chart",
    title: "Loss",
    chart: lineChart(shown, unit),
    caption: `Loss, ${unit}: ${shown.map(ends).join("; ")}`,
  }];
}

function otherMeasurements(metrics: StepMetrics[]): string[] {
  const names = new Set(metrics.flatMap((line) => Object.keys(line)));
  return [...names].filter((name) => !SHOWN_APART.has(name));
}

function measurementBlock(metrics: StepMetrics[], key: string): ReportBlock {
  const { title, unit } = MEASUREMENTS[key] ?? { title: inWords(key), unit: "" };
  const curve = series(key, metrics, key);
  const values = curve.points.map(([, value]) => value);
  const [least, most] = [
    values.reduce((a, b) => Math.min(a, b)),
    values.reduce((a, b) => Math.max(a, b)),
  ];
  const short = (value: number) => String(Number(value.toPrecision(4)));
  return {
    kind: "chart",
    title,
    chart: lineChart([curve], unit),
    small: true,
    caption: `${[title, unit].filter(Boolean).join(", ")}: ${short(least)} to ${short(most)}, ` +
      `${short(values.at(-1)!)} at the end`,
  };
}

/** `chosenReward` as `Chosen reward`. */
function inWords(key: string): string {
  const words = key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

/** A table of what the run recorded about its machine and versions. */
function factsBlocks(facts: Record<string, unknown>): ReportBlock[] {
  const rows = Object.entries(facts).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  if (rows.length === 0) return [];
  const table = { title: "", columns: ["machine and run", ""], rows, notes: [] };
  return [{ kind: "table", table }];
}

function settingsTable({ settings }: Stage): Table {
  const rows = Object.entries(settings).flatMap(([section, values]) =>
    Object.entries(values).map(([key, value]) => [
      `${section}.${key}`,
      typeof value === "string" ? value : JSON.stringify(value),
    ])
  );
  return { title: "", columns: ["setting", "value"], rows, notes: [] };
}

function evaluationBlocks(evaluations: Results[]): ReportBlock[] {
  if (evaluations.length === 0) return [];
  return [
    { kind: "heading", level: 2, text: "Evaluations" },
    { kind: "table", table: comparisonTable(evaluations) },
    ...evaluations.flatMap((results): ReportBlock[] => [
      { kind: "heading", level: 3, text: heading(results) },
      ...accuracyBlocks(results),
      { kind: "table", table: categoryTable(results) },
      ...speedBlocks(results),
      ...(results.scores
        ? [{ kind: "table" as const, table: subjectTable(results), summary: "By subject" }]
        : []),
    ]),
  ];
}

function accuracyBlocks({ scores, average, title }: Results): ReportBlock[] {
  if (!scores) return [];
  const groups = [
    { ...scores.overall, name: "all" },
    ...scores.maps[0].categories,
    ...scores.maps.slice(1).flatMap((map) => map.categories)
      .filter(({ name }) => scores.maps[0].categories.every((group) => group.name !== name)),
  ];
  return [{
    kind: "chart",
    title: `${title} by category`,
    chart: accuracyChart(groups, average),
    caption: groups.map((group) => `${group.name} ${accuracyText(group[average])} %`).join(", "),
  }];
}

function speedBlocks({ speed }: Results): ReportBlock[] {
  if (!speed) return [];
  const tokens = Math.round(speed.tokensPerSecond).toLocaleString("en");
  const text = `Answered ${speed.questionsPerSecond.toFixed(1)} questions a second, reading ` +
    `${tokens} tokens a second.`;
  return [{ kind: "text", text }];
}

/** The commands that reproduce each result. */
function commands(folder: string, stages: Stage[], evaluations: Results[]): string[] {
  return [
    ...stages.flatMap(({ task, folder }) =>
      task ? [`deno task ${task} --config ${word(`${folder}/settings.yaml`)}`] : []
    ),
    ...evaluations.map((results) =>
      [
        results.data === DEMO_DATA
          ? "deno task eval demo"
          : `deno task eval ${results.benchmark} --data ${word(results.data)}`,
        `--model ${word(results.model)} --protocol ${results.protocol} --split ${results.split}`,
        `--shots ${results.shots}`,
        ...(results.chainOfThought ? ["--cot"] : []),
        ...(results.subjects ? [`--subjects ${results.subjects.join()}`] : []),
        ...(results.limit ? [`--limit ${results.limit}`] : []),
        ...(results.precision ? [`--precision ${results.precision}`] : []),
        ...(results.problems.length > 0 ? ["--keep-going"] : []),
        `--seed ${results.seed}`,
      ].join(" ")
    ),
    `deno task report ${word(folder)}`,
  ];
}

/** A path as a shell takes it for one word. */
function word(path: string): string {
  return /^[\p{L}\p{N}_./:-]+$/u.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function versions(): string {
  const { deno, v8, typescript } = Deno.version;
  return `This page was made with Deno ${deno} (V8 ${v8}, TypeScript ${typescript}) on ` +
    `${Deno.build.os} ${Deno.build.arch}. It needs no network and runs no script.`;
}

function series(name: string, metrics: StepMetrics[], key: string): Series {
  return {
    name,
    points: metrics.flatMap(({ step, [key]: value }): Series["points"] =>
      value === undefined ? [] : [[step, value]]
    ),
  };
}

function lastOf({ metrics }: Stage, key: string): number | undefined {
  return metrics.findLast((line) => line[key] !== undefined)?.[key];
}

function shares(mixture: Record<string, number>): string {
  const total = Object.values(mixture).reduce((sum, tokens) => sum + tokens, 0);
  return Object.entries(mixture)
    .map(([name, tokens]) => `${name} ${(100 * tokens / total).toFixed(1)} %`).join(", ");
}
