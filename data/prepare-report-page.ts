import { cleanReportBlocks, problemBlocks } from "./cleaning/clean-report-page.ts";
import { shareChart } from "./page/charts.ts";
import type { Page, PageBlock } from "./page/page.ts";
import type { PrepareReport } from "./prepare.ts";
import { timeText } from "./progress/time-text.ts";

/** The report of preparing as one page: all sources together, then the cleaning of each. */
export function prepareReportPage(report: PrepareReport): Page {
  const { cleaned, tokenized: { problems, manifest: { shards } } } = report;
  const sources = Object.entries(report.tokenized.manifest.sources);
  const tokens = sources.reduce((sum, [, source]) => sum + source.tokens, 0);
  return {
    title: "Prepared data",
    blocks: [
      {
        kind: "figures",
        figures: [
          { label: "sources", value: count(sources.length) },
          { label: "documents", value: count(sum(sources.map(([, { documents }]) => documents))) },
          { label: "tokens", value: count(tokens) },
          { label: "shards", value: count(shards.length) },
          {
            label: "time",
            value: timeText(
              report.tokenized.seconds + sum(Object.values(cleaned).map(({ seconds }) => seconds)),
            ),
          },
        ],
      },
      ...tokenBlocks(report),
      ...problemBlocks(problems, heading3),
      ...Object.entries(cleaned).flatMap(([source, cleaning]): PageBlock[] => [
        { kind: "heading", level: 2, text: `Cleaning of ${source}` },
        ...cleanReportBlocks(cleaning, heading3),
      ]),
    ],
  };
}

/** From published documents to the tokens of the mixture, by source. */
function tokenBlocks({ cleaned, tokenized: { manifest, leftOver } }: PrepareReport): PageBlock[] {
  const sources = Object.entries(manifest.sources);
  const total = sum(sources.map(([, { tokens }]) => tokens));
  const rows = sources.map(([name, { documents, tokens }]) => {
    const cleaning = Object.hasOwn(cleaned, name) ? cleaned[name] : undefined;
    const unused = Object.hasOwn(leftOver, name) ? leftOver[name] : 0;
    return [
      name,
      cleaning ? count(cleaning.read.documents) : "",
      cleaning ? count(cleaning.kept.documents) : "",
      count(documents),
      count(tokens),
      total === 0 ? "–" : `${(100 * tokens / total).toFixed(1)} %`,
      unused > 0 ? count(unused) : "",
    ];
  });
  const columns = [
    "source",
    "read",
    "kept",
    "in the mixture",
    "tokens",
    "share",
    "tokens left over",
  ];
  return [
    { kind: "heading", level: 2, text: "Mixture" },
    {
      kind: "chart",
      title: "Tokens by source",
      chart: shareChart(
        Object.fromEntries(sources.map(([name, { tokens }]) => [name, tokens])),
      ),
      caption: `Share of ${count(total)} tokens: ${
        rows.map(([name, , , , , share]) => `${name} ${share}`).join(", ")
      }`,
    },
    {
      kind: "table",
      cards: true,
      table: {
        title: "",
        columns,
        rows,
        notes: [
          `Documents that were read, that cleaning kept, and that are in the mixture. Blocks of ` +
          `${count(manifest.blockLength)} tokens; tokenizer ${manifest.tokenizer}.`,
        ],
      },
    },
  ];
}

function heading3(text: string): PageBlock {
  return { kind: "heading", level: 3, text };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function count(number: number): string {
  return number.toLocaleString("en");
}
