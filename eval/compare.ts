import { basename } from "node:path";
import { publishedBenchmark } from "./benchmarks/benchmarks.ts";
import { headline } from "./result-tables.ts";
import type { Results } from "../model/host/evaluation-results.ts";
import type { Table } from "../data/page/table.ts";

/** The columns that every table has, in the order of the published figures. */
const PUBLISHED_BENCHMARKS = ["ceval", "cmmlu", "mmlu"];

/** A row of the paper's table. */
interface PublishedRow {
  readonly model: string;
  /** Scores in percent, in the order of the columns. */
  readonly scores: readonly string[];
  /** The folders in which the hub has this model, or its authors' newer names of it. */
  readonly folders: RegExp;
}

/**
 * Table 4 of the paper (arXiv 2502.06635): C-Eval val and CMMLU, macro averages; Steel-LLM's MMLU,
 * micro, is from its Table 3. Steel-LLM's own scores are measured as `--protocol=steel-chat` does;
 * those of others the paper takes from the reports of C-Eval, MiniCPM and MAP-Neo.
 */
const PUBLISHED: readonly PublishedRow[] = [
  published("Tiny-Llama-1.1B", /^tinyllama/, "25.02", "24.03"),
  published("MiniCPM-1.2B", /^minicpm-1b/, "49.14", "46.81"),
  published("Qwen1.5-1.8B-Chat", /^qwen1\.5-1\.8b-chat$/, "56.84", "54.11"),
  published("Phi2(2B)", /^phi-2$/, "23.37", "24.18"),
  published("Gemma-2b-it", /^gemma-2b-it$/, "32.30", "33.07"),
  published("CT-LLM-SFT-2B", /^ct-llm-sft/, "41.54", "41.48"),
  published("ChatGLM-6B", /^chatglm-6b$/, "38.90", "37.48"),
  published("Llama2-7B", /^llama-2-7b/, "32.42", "31.11"),
  published("OLMo-7B", /^olmo-7b/, "35.18", "35.55"),
  published("Gemma-7B", /^gemma-7b/, "42.57", "44.20"),
  published("MAP-Neo-7B", /^(map-)?neo_7b/, "56.97", "55.01"),
  published("Llama2-13B", /^llama-2-13b/, "37.32", "37.06"),
  published("Steel-LLM-1B-Chat", /^steel-llm(-chat)?(-v2)?$/, "41.90", "36.08", "30.82"),
  published("Steel-LLM-1B-Chat-DPO", /^steel-llm.*-dpo$/, "42.04", "36.04"),
];

function published(model: string, folders: RegExp, ...scores: string[]): PublishedRow {
  return { model: `${model} (paper)`, folders, scores };
}

/**
 * The paper's Table 4 with what was evaluated here: a row for each model and protocol. A model whose
 * folder has the name that the hub has for a model of the paper stands above the paper's figures of
 * it, others stand above all.
 */
export function comparisonTable(all: Results[]): Table {
  const others = all.filter(({ benchmark }) => !PUBLISHED_BENCHMARKS.includes(benchmark));
  const columns = [
    ...PUBLISHED_BENCHMARKS.map((key) => ({ key, title: publishedBenchmark(key).title })),
    ...[...Map.groupBy(others, ({ benchmark }) => benchmark)]
      .map(([key, [{ title }]]) => ({ key, title })),
  ];
  const measured = (results: Results[]) =>
    [...Map.groupBy(results, rowName)].flatMap(([name, some]) =>
      inRows(some).map((row) => [
        name,
        ...columns.map(({ key }) => {
          const results = row.get(key);
          return results ? headline(results) : "";
        }),
      ])
    );
  const byRow = Map.groupBy(
    all,
    ({ model }) => PUBLISHED.find(({ folders }) => folders.test(basename(model).toLowerCase())),
  );
  return {
    title: "Accuracy in percent ± standard error",
    columns: ["", ...columns.map(({ title }) => title)],
    rows: [
      ...measured(byRow.get(undefined) ?? []),
      ...PUBLISHED.flatMap((row) => [
        ...measured(byRow.get(row) ?? []),
        [row.model, ...columns.map((_, i) => row.scores[i] ?? "")],
      ]),
    ],
    notes: [
      "C-Eval and CMMLU: mean of the subjects; MMLU: all questions alike; as their authors report",
      "(paper): Tables 3 and 4 of arXiv 2502.06635, others' figures from their own reports, by other " +
      "prompts; differences of less than two standard errors mean little",
    ],
  };
}

function rowName({ model, protocol, shots, chainOfThought }: Results): string {
  return `${model}, ${protocol}, ${shots} shots${chainOfThought ? ", step by step" : ""}`;
}

/** Results in as few rows as possible, with at most one result of each benchmark in a row. */
function inRows(results: Results[]): Map<string, Results>[] {
  const rows: Map<string, Results>[] = [];
  for (const result of results) {
    const free = rows.find((row) => !row.has(result.benchmark));
    if (free) free.set(result.benchmark, result);
    else rows.push(new Map([[result.benchmark, result]]));
  }
  return rows;
}
