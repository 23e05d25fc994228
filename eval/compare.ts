import { publishedBenchmark } from "./benchmarks/benchmarks.ts";
import { headline } from "./result-tables.ts";
import type { Results } from "./results.ts";
import type { Table } from "../data/page/table.ts";

/** The columns that every table has, in the order of the published figures. */
const PUBLISHED_BENCHMARKS = ["ceval", "cmmlu", "mmlu"];

/**
 * Scores in percent as Steel-LLM's authors publish them (arXiv 2502.06635 and the project's README;
 * those of other models are from the C-Eval, MiniCPM and MAP-Neo reports): C-Eval val and CMMLU,
 * macro, and MMLU, micro. Steel-LLM's own are measured as `--protocol=steel-chat` does.
 */
const PUBLISHED: [model: string, ...scores: string[]][] = [
  ["Steel-LLM chat (paper)", "41.90", "36.08", "30.82"],
  ["Steel-LLM chat + DPO (paper)", "42.04", "36.04", ""],
  ["Steel-LLM chat v1", "38.57", "33.48", ""],
  ["TinyLlama 1.1B", "25.02", "24.03", ""],
  ["DeepSeek-Coder 1.3B instruct", "28.33", "27.75", ""],
  ["Qwen1.5 1.8B chat", "56.84", "54.11", ""],
  ["Phi-2 2.7B", "23.37", "24.18", ""],
  ["Gemma 2B it", "32.3", "33.07", ""],
  ["CT-LLM 2B SFT", "41.54", "41.48", ""],
  ["MiniCPM 2B SFT", "49.14", "51.0", ""],
];

/**
 * A table of models side by side, below them published figures: a row for each model and protocol.
 */
export function comparisonTable(all: Results[]): Table {
  const others = all.filter(({ benchmark }) => !PUBLISHED_BENCHMARKS.includes(benchmark));
  const columns = [
    ...PUBLISHED_BENCHMARKS.map((key) => ({ key, title: publishedBenchmark(key).title })),
    ...[...Map.groupBy(others, ({ benchmark }) => benchmark)]
      .map(([key, [{ title }]]) => ({ key, title })),
  ];
  const rows = [...Map.groupBy(all, rowName)].flatMap(([name, results]) =>
    inRows(results).map((row) => ({ name, row }))
  );
  return {
    title: "Accuracy in percent ± standard error",
    columns: ["", ...columns.map(({ title }) => title)],
    rows: [
      ...rows.map(({ name, row }) => [
        name,
        ...columns.map(({ key }) => {
          const results = row.get(key);
          return results ? headline(results) : "";
        }),
      ]),
      ...PUBLISHED.map((row) => [...row, ...columns.slice(row.length - 1).map(() => "")]),
    ],
    notes: [
      "C-Eval and CMMLU: mean of the subjects; MMLU: all questions alike; as their authors report",
      "the rows from Steel-LLM (paper) on are published figures; differences of less than two standard " +
      "errors mean little",
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
