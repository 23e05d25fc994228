import { barChart } from "../../data/page/charts.ts";
import type { PageBlock } from "../../data/page/page.ts";
import { isControl } from "../answerer.ts";
import { comparisonTable } from "../compare.ts";
import { accuracyText, categoryTable, heading, speedText, subjectTable } from "../result-tables.ts";
import type { Results } from "../../model/host/evaluation-results.ts";

/** Four answers stand to choose from. */
const GUESSING = { value: 25, label: "guessing 25 %" };

/** The evaluations: all in one table, then each with its categories; controls come last. */
export function evaluationBlocks(evaluations: Results[]): PageBlock[] {
  if (evaluations.length === 0) return [];
  const ordered = evaluations.toSorted((a, b) =>
    Number(isControl(a.model)) - Number(isControl(b.model))
  );
  return [
    { kind: "heading", level: 2, text: "Evaluations" },
    { kind: "table", table: comparisonTable(ordered) },
    ...ordered.flatMap(resultsBlocks),
  ];
}

function resultsBlocks(results: Results): PageBlock[] {
  return [
    { kind: "heading", level: 3, text: heading(results) },
    ...accuracyBlocks(results),
    { kind: "table", table: categoryTable(results) },
    ...speedBlocks(results),
    ...(results.scores
      ? [{ kind: "table" as const, table: subjectTable(results), summary: "By subject" }]
      : []),
  ];
}

function accuracyBlocks({ scores, average, title }: Results): PageBlock[] {
  if (!scores) return [];
  const groups = [
    { ...scores.overall, name: "all" },
    ...scores.maps[0].categories,
    ...scores.maps.slice(1).flatMap((map) => map.categories)
      .filter(({ name }) => scores.maps[0].categories.every((group) => group.name !== name)),
  ];
  const bars = groups.map(({ name, [average]: { accuracy, standardError } }) => ({
    name,
    value: 100 * accuracy,
    label: (100 * accuracy).toFixed(1),
    error: standardError === undefined ? undefined : 100 * standardError,
  }));
  return [{
    kind: "chart",
    title: `${title} by category`,
    chart: barChart(bars, "percent", GUESSING),
    caption: groups.map((group) => `${group.name} ${accuracyText(group[average])} %`).join(", "),
  }];
}

function speedBlocks(results: Results): PageBlock[] {
  const text = speedText(results);
  return text === undefined ? [] : [{ kind: "text", text }];
}
