import {
  type Curve,
  lastOf,
  lineChart,
  type Point,
  pointsOf,
  shareChart,
} from "../../data/page/charts.ts";
import { lossChart } from "../../data/page/loss-chart.ts";
import type { Figure, PageBlock } from "../../data/page/page.ts";
import { inBoth, type PageText, type Words, words } from "../../data/page/words.ts";
import { FailureSignatures } from "../host/failure-signatures.ts";
import type { StepMetrics } from "../host/step-metrics.ts";
import type { Sample } from "../host/samples-file.ts";
import type { Stage } from "./stage-folder.ts";
import { countText, decimals, percent, trainingTime } from "./stage-numbers.ts";

/** The title of a chart of losses. */
export const LOSS = words("Loss", "损失");
const CHOSEN = words("chosen", "偏好");
const REJECTED = words("rejected", "拒绝");

/** Measurements that are drawn together or have a unit; all others are drawn alone. */
const CHARTS: { title: Words; unit: PageText; curves: Record<string, PageText> }[] = [
  {
    title: words("Rewards", "奖励"),
    unit: "",
    curves: { chosenReward: CHOSEN, rejectedReward: REJECTED, margin: words("margin", "差值") },
  },
  {
    title: words("Pairs with the larger reward on the chosen answer", "偏好回答奖励更高的比例"),
    unit: "",
    curves: { accuracy: "" },
  },
  {
    title: words("Log-probabilities", "对数概率"),
    unit: words("nats an answer", "nat/回答"),
    curves: { chosenLogProb: CHOSEN, rejectedLogProb: REJECTED },
  },
  {
    title: words("Gradient norm before clipping", "裁剪前的梯度范数"),
    unit: "",
    curves: { gradientNorm: "" },
  },
  { title: words("Learning rate", "学习率"), unit: "", curves: { learningRate: "" } },
  {
    title: words("Speed", "速度"),
    unit: words("tokens/s", "词元/秒"),
    curves: { tokensPerSecond: "" },
  },
  {
    title: words("Share of a step that waited for other GPUs", "每步等待其他 GPU 的时间占比"),
    unit: "",
    curves: { shareWaited: "" },
  },
];

/** What validations measure of each layer that divides tokens among slots or experts. */
const LAYER_TITLES: Record<string, Words> = {
  combineEntropy: words(
    "Entropy of combine by layer (1: all slots alike)",
    "各层 combine 的熵（1：各槽均等）",
  ),
  dispatchEntropy: words(
    "Entropy of dispatch by layer (1: all tokens alike)",
    "各层 dispatch 的熵（1：各词元均等）",
  ),
  leastUse: words(
    "Use of the least used slot by layer (1: a fair share)",
    "各层最少使用的槽的用量（1：平均份额）",
  ),
  mostUse: words(
    "Use of the most used slot by layer (above 1: it dominates)",
    "各层最多使用的槽的用量（大于 1：偏重此槽）",
  ),
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
    ...wordsTable([words("machine and run", "机器与训练"), ""], facts.others),
    ...wordsTable(
      [words("setting", "设置"), words("value", "取值")],
      inOneLevel(settings),
      words("Settings", "设置"),
    ),
  ];
}

function figuresBlock({ metrics, facts }: Stage): PageBlock {
  const speed = medianOf(metrics, "tokensPerSecond");
  const gpus = lastOf(metrics, "gpus");
  const figures: Figure[] = [
    { label: words("steps", "步数"), value: countText(lastOf(metrics, "step")) },
    { label: words("tokens trained on", "训练词元"), value: countText(lastOf(metrics, "tokens")) },
    { label: words("trained for", "训练时长"), value: trainingTime(metrics) ?? "" },
    { label: words("training loss", "训练损失"), value: decimals(lastOf(metrics, "loss")) },
    {
      label: words("validation loss", "验证损失"),
      value: decimals(lastOf(metrics, "validationLoss")),
    },
    { label: words("unigram entropy", "一元熵"), value: decimals(facts.unigramEntropy) },
    { label: words("exam before", "训练前考试"), value: percent(facts.examBefore) },
    { label: words("exam after", "训练后考试"), value: percent(facts.examAfter) },
    { label: words("tokens/s, median", "词元/秒（中位数）"), value: countText(speed) },
    { label: words("GPUs", "GPU 数"), value: countText(gpus) },
    {
      label: words("tokens/s a GPU, median", "每 GPU 词元/秒（中位数）"),
      value: countText(gpus && speed && speed / gpus),
    },
    {
      label: words("waited for other GPUs, median", "等待其他 GPU（中位数）"),
      value: percent(medianOf(metrics, "shareWaited")),
    },
  ];
  return { kind: "figures", figures: figures.filter(({ value }) => value !== "") };
}

function medianOf(metrics: readonly StepMetrics[], key: string): number | undefined {
  const values = pointsOf(metrics, key).map(([, value]) => value).sort((a, b) => a - b);
  return values[values.length >> 1];
}

/** What the run told of its metrics while it trained: signatures of failures, if there were any. */
export function signatureBlocks({ task, metrics, facts, mixture }: Stage): PageBlock[] {
  const shares = sharesOf(mixture).join(", ");
  const context = task === "sft"
    ? {
      plateauWithin: facts.steps,
      languages: shares === "" ? undefined : `It is fine-tuned on ${shares}`,
    }
    : {};
  const signatures = new FailureSignatures(context);
  const items = metrics.flatMap((line) => signatures.observe(line))
    .map(({ step, text }) => `Step ${step}: ${text}`);
  if (items.length === 0) return [];
  return [
    { kind: "heading", level: 3, text: words("What the metrics show", "指标反映的问题") },
    { kind: "list", items },
  ];
}

function lossBlocks({ metrics, facts: { unigramEntropy } }: Stage): PageBlock[] {
  const training = pointsOf(metrics, "loss");
  const validation = pointsOf(metrics, "validationLoss");
  if (training.length === 0) return [];
  const unit = lossUnit(metrics);
  const [trained, validated] = [training, validation].map((points) =>
    points.length === 0 ? "" : fromTo(points)
  );
  const entropy = unigramEntropy?.toFixed(3);
  const told = [
    inBoth((say) => `${say(words("training", "训练"))} ${say(trained)}`),
    ...(validated === ""
      ? []
      : [inBoth((say) => `${say(words("validation", "验证"))} ${say(validated)}`)]),
    ...(entropy === undefined ? [] : [words(`unigram entropy ${entropy}`, `一元熵 ${entropy}`)]),
  ];
  return [{
    kind: "chart",
    title: LOSS,
    chart: lossChart({ training, validation, unit, unigramEntropy }),
    caption: captionOf([LOSS, unit], told),
  }];
}

/** The loss of preference optimization is of two answers, whatever their length. */
export function lossUnit(metrics: readonly StepMetrics[]): Words {
  return lastOf(metrics, "chosenReward") === undefined ? NATS_A_TOKEN : BY_PAIR;
}

const NATS_A_TOKEN = words("nats a token", "nat/词元");
const BY_PAIR = words("by pair of answers", "每对回答");

/** Such as `Loss, nats a token: training from 8 to 5; validation from 7 to 5`. */
export function captionOf(titles: readonly PageText[], told: readonly PageText[]): Words {
  return inBoth((say) =>
    `${titles.map(say).filter(Boolean).join(say(words(", ", "，")))}${say(words(": ", "："))}` +
    told.map(say).join(say(words("; ", "；")))
  );
}

function fromTo(points: Point[]): Words {
  const [[firstStep, first], [lastStep, last]] = [points[0], points.at(-1)!];
  const [from, to] = [first.toFixed(3), last.toFixed(3)];
  return words(
    `from ${from} at step ${firstStep} to ${to} at step ${lastStep}`,
    `从第 ${firstStep} 步的 ${from} 到第 ${lastStep} 步的 ${to}`,
  );
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
        name: inBoth((say) => [run.name, say(name)].filter(Boolean).join(" ")),
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
      caption: captionOf([title, unit], shown.map(range)),
    }];
  });
}

/** Such as `chosen 0.1 to 2.5, 2.4 at the end`. */
function range({ name, points }: Curve): Words {
  const values = points.map(([, value]) => value);
  const short = (value: number) => String(Number(value.toPrecision(4)));
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  const [from, to, end] = [least, most, values.at(-1)!].map(short);
  const told = points.length === 1
    ? end
    : words(`${from} to ${to}, ${end} at the end`, `${from} 至 ${to}，末值 ${end}`);
  return inBoth((say) => [say(name), say(told)].filter(Boolean).join(" "));
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
    title: words("Data", "数据"),
    chart: shareChart(Object.fromEntries(parts)),
    caption: captionOf([words("Share of the tokens", "词元占比")], [shares.join(", ")]),
  }];
}

/** The texts that a model wrote. */
export function sampleBlocks(samples: Sample[]): PageBlock[] {
  if (samples.length === 0) return [];
  return [
    { kind: "heading", level: 3, text: words("What it writes", "模型写的文字") },
    ...samples.map(({ question, text }): PageBlock =>
      question === undefined ? { kind: "quote", text } : {
        kind: "chat",
        turns: [{ speaker: "user", text: question }, { speaker: "model", text }],
      }
    ),
  ];
}

function wordsTable(
  columns: [PageText, PageText],
  values: Record<string, string>,
  summary?: PageText,
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
