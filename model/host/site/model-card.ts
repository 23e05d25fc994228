import { basename, join, resolve } from "node:path";
import { lastOf, pointsOf, shareChart } from "../../../data/page/charts.ts";
import type { Chart } from "../../../data/page/draw.ts";
import { escapeHtml } from "../../../data/page/escape.ts";
import { lossChart } from "../../../data/page/loss-chart.ts";
import { bothHtml, type Words, words } from "../../../data/page/words.ts";
import { exists } from "../../../data/files/exists.ts";
import { isMissing, readError } from "../../../data/files/file-errors.ts";
import type { ModelConfig } from "../../network/config.ts";
import { Parameters } from "../../network/parameters.ts";
import { evaluationsOf, readResults, type Results, RESULTS_FILE } from "../evaluation-results.ts";
import { type Facts, readRunFacts } from "../run-facts.ts";
import { EXAMPLES_FILE, runOf } from "../run-folder.ts";
import { readMetrics, type StepMetrics } from "../step-metrics.ts";

/** What a run's folder and its evaluations say of a model. */
export interface ModelCard {
  /** The run's name. */
  readonly name: string;
  /** Whether it has learnt to answer. */
  readonly isFineTuned: boolean;
  readonly facts: Facts;
  /** Tokens that it was trained on, by source. */
  readonly mixture: Readonly<Record<string, number>>;
  readonly metrics: readonly StepMetrics[];
  /** Those that lie where `deno task eval` leaves them. */
  readonly evaluations: readonly Results[];
}

/** Reads a model's card. @throws UserError naming a file that is damaged */
export async function readModelCard(dir: string): Promise<ModelCard> {
  const run = runOf(dir);
  return {
    name: basename(resolve(run)),
    isFineTuned: await exists(join(run, EXAMPLES_FILE)),
    ...await readRunFacts(run),
    metrics: readMetrics(join(run, "metrics.jsonl")),
    evaluations: await readEvaluations(evaluationsOf(dir)),
  };
}

async function readEvaluations(folder: string): Promise<Results[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const files = names.sort().map((name) => join(folder, name, RESULTS_FILE));
    const finished = await Promise.all(files.map(async (file) => await exists(file) ? [file] : []));
    return await Promise.all(finished.flat().map(readResults));
  } catch (error) {
    if (isMissing(error)) return [];
    throw readError(error, folder);
  }
}

/** The card as a part of a page. */
export function cardHtml(card: ModelCard, config: ModelConfig): string {
  return `<section id="card">
<h2>${bothHtml({ en: "About the model", zh: "模型介绍" })}</h2>
${figuresHtml(card, config)}
${lossHtml(card)}
${mixtureHtml(card)}
${evaluationsHtml(card)}
</section>`;
}

function figuresHtml({ metrics, facts }: ModelCard, config: ModelConfig): string {
  const count = (value: number | undefined) => value?.toLocaleString("en");
  const figures: [Words, string | undefined][] = [
    [{ en: "parameters", zh: "参数" }, count(new Parameters(config).count)],
    [{ en: "layers", zh: "层数" }, count(config.layers.length)],
    [{ en: "hidden size", zh: "隐藏维度" }, count(config.hiddenSize)],
    [{ en: "tokens of the vocabulary", zh: "词表大小" }, count(config.vocabSize)],
    [{ en: "longest text, in tokens", zh: "最长文本（词元）" }, count(config.maxPositions)],
    [{ en: "training steps", zh: "训练步数" }, count(lastOf(metrics, "step"))],
    [{ en: "tokens trained on", zh: "训练词元" }, count(lastOf(metrics, "tokens"))],
    [{ en: "validation loss", zh: "验证损失" }, lastOf(metrics, "validationLoss")?.toFixed(3)],
    [{ en: "unigram entropy", zh: "一元熵" }, facts.unigramEntropy?.toFixed(3)],
  ];
  const cells = figures.flatMap(([label, value]) =>
    value === undefined ? [] : [`<div><dt>${bothHtml(label)}</dt><dd>${value}</dd></div>`]
  );
  return `<dl class="figures">${cells.join("")}</dl>`;
}

function lossHtml({ metrics, facts: { unigramEntropy } }: ModelCard): string {
  const training = pointsOf(metrics, "loss");
  if (training.length === 0) return "";
  const validation = pointsOf(metrics, "validationLoss");
  return figureHtml(
    { en: "Loss in training", zh: "训练损失" },
    lossChart({ training, validation, unit: words("loss", "损失"), unigramEntropy }),
  );
}

function mixtureHtml({ mixture }: ModelCard): string {
  const parts: Record<string, number> = {};
  for (const [source, tokens] of Object.entries(mixture)) {
    if (tokens === 0) continue;
    // Visitors are not told where files lie on this machine.
    const name = basename(source);
    parts[name] = (parts[name] ?? 0) + tokens;
  }
  if (Object.keys(parts).length === 0) return "";
  return figureHtml(
    { en: "Share of the tokens by source", zh: "各来源词元占比" },
    shareChart(parts),
  );
}

function figureHtml(title: Words, { wide, narrow }: Chart): string {
  return `<figure><h3>${bothHtml(title)}</h3><div class="wide">${wide}</div>` +
    `<div class="narrow">${narrow}</div></figure>`;
}

function evaluationsHtml({ evaluations }: ModelCard): string {
  const rows = evaluations.flatMap(({ title, split, protocol, scores, average, questions }) => {
    if (!scores) return [];
    const { accuracy, standardError } = scores.overall[average];
    const error = standardError === undefined ? "" : ` ± ${(100 * standardError).toFixed(1)}`;
    const cells = [
      `${title}, ${split} (${protocol})`,
      `${(100 * accuracy).toFixed(1)} %${error}`,
      questions.toLocaleString("en"),
    ];
    return [`<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`];
  });
  if (rows.length === 0) return "";
  const heads = [
    { en: "evaluation", zh: "评测" },
    { en: "right answers", zh: "正确率" },
    { en: "questions", zh: "题数" },
  ].map((words) => `<th>${bothHtml(words)}</th>`);
  return `<div class="table"><table><thead><tr>${heads.join("")}</tr></thead>` +
    `<tbody>${rows.join("")}</tbody></table></div>`;
}
