import { barChart, columnChart, shareChart } from "../page/charts.ts";
import type { Page, PageBlock } from "../page/page.ts";
import { timeText } from "../progress/time-text.ts";
import type { ProblemReport } from "../readers/problems.ts";
import type { CleanReport, Composition, Tally } from "./clean-report.ts";

/** The report of a cleaning as a page. */
export function cleanReportPage(report: CleanReport): Page {
  return {
    title: "Cleaned documents",
    blocks: cleanReportBlocks(report, (text) => ({ kind: "heading", level: 2, text })),
  };
}

/** The report of a cleaning as a part of a page; `heading` makes the headings within it. */
export function cleanReportBlocks(
  report: CleanReport,
  heading: (text: string) => PageBlock,
): PageBlock[] {
  const { read, kept, steps, warnings, problems, listed, leftOut, inputs, ignoredKeys } = report;
  const dropping = steps.filter(({ dropped, missing }) => dropped > 0 && missing === undefined);
  return [
    {
      kind: "figures",
      figures: [
        { label: "documents read", value: count(read.documents) },
        { label: "documents kept", value: count(kept.documents) },
        { label: "of the documents", value: percent(kept.documents, read.documents) },
        { label: "of the characters", value: percent(kept.characters, read.characters) },
        { label: "time", value: timeText(report.seconds) },
      ],
    },
    {
      kind: "text",
      text: `${count(leftOut)} records were left out by the rules of their corpus, ` +
        `${count(problems.passedOver)} records or files could not be read, and ` +
        `${count(problems.kept)} are odd but kept.`,
    },
    ...listBlock(warnings),
    ...listBlock(ignoredKeys.map((key) => `The recipe's key ${key} has no effect here.`)),
    ...listBlock(inputs, `Files read: ${count(inputs.length)}`),
    heading("Steps"),
    {
      kind: "table",
      cards: true,
      table: {
        title: "",
        columns: ["operator", "reached", "changed", "dropped", "would keep alone"],
        rows: steps.map(({ name, missing, reached, changed, dropped, passing }) =>
          missing === undefined
            ? [name, count(reached), count(changed), count(dropped), passing ? count(passing) : ""]
            : [name, "left out", "", "", ""]
        ),
        notes: [],
      },
    },
    ...(dropping.length === 0 ? [] : [{
      kind: "chart" as const,
      title: "Dropped, by operator",
      chart: barChart(
        dropping.map(({ name, dropped }) => ({ name, value: dropped, label: count(dropped) })),
        "count",
      ),
      caption: `Documents dropped: ${
        dropping.map(({ name, dropped }) => `${name} ${count(dropped)}`).join(", ")
      }`,
    }]),
    heading("Lengths"),
    ...lengthBlocks(read, kept),
    heading("Languages"),
    compositionTable("language", read.languages, kept.languages),
    heading("Sources"),
    ...mixtureBlock(kept.sources),
    compositionTable("source", read.sources, kept.sources),
    ...problemBlocks(problems, heading),
    ...(listed.length === 0 ? [] : [
      heading("Documents that hold questions of benchmarks"),
      ...listBlock(listed.map(({ file, place, reason }) => `${file}, ${place}: ${reason}`)),
    ]),
  ];
}

/** What was wrong with records and files. */
export function problemBlocks(
  { first }: ProblemReport,
  heading: (text: string) => PageBlock,
): PageBlock[] {
  if (first.length === 0) return [];
  const lines = first.map(({ file, place, reason }) => `${file}, ${place ?? "file"}: ${reason}`);
  return [heading("Problems"), ...listBlock(lines)];
}

/** More lines than this are for the JSON file alone. */
const MOST_LINES = 500;

function listBlock(items: string[], summary?: string): PageBlock[] {
  if (items.length === 0) return [];
  const rest = items.length - MOST_LINES;
  const shown = rest > 0
    ? [...items.slice(0, MOST_LINES), `… and ${count(rest)} more, in the JSON file`]
    : items;
  return [{ kind: "list", items: shown, summary }];
}

/** Documents by length: bin i holds those of 2^i to 2^(i+1) - 1 characters. */
function lengthBlocks(read: Composition, kept: Composition): PageBlock[] {
  const first = Math.max(read.lengths.findIndex((documents) => documents > 0), 0);
  const bins = read.lengths.map((_, bin) => bin).slice(first);
  const counts = ({ lengths }: Composition) => bins.map((bin) => lengths[bin] ?? 0);
  return [
    {
      kind: "chart",
      title: "Documents by length",
      chart: columnChart(
        bins.map((bin) => `${count(2 ** bin)}–`),
        "characters",
        [{ name: "read", values: counts(read) }, { name: "kept", values: counts(kept) }],
      ),
      caption: "Documents that were read and that stay, by their number of characters",
    },
    {
      kind: "table",
      summary: "As a table",
      table: {
        title: "",
        columns: ["characters", "read", "kept"],
        rows: bins.map((bin, index) => [
          `${count(2 ** bin)} to ${count(2 ** (bin + 1) - 1)}`,
          count(counts(read)[index]),
          count(counts(kept)[index]),
        ]),
        notes: [],
      },
    },
  ];
}

function mixtureBlock(sources: Record<string, Tally>): PageBlock[] {
  const characters = Object.fromEntries(
    Object.entries(sources).map(([name, { characters }]) => [name, characters]),
  );
  if (Object.keys(characters).length < 2) return [];
  return [{
    kind: "chart",
    title: "Mixture",
    chart: shareChart(characters),
    caption: "Share of the characters that stay, by source",
  }];
}

function compositionTable(
  what: string,
  read: Record<string, Tally>,
  kept: Record<string, Tally>,
): PageBlock {
  const total = Object.values(kept).reduce((sum, { characters }) => sum + characters, 0);
  return {
    kind: "table",
    cards: true,
    table: {
      title: "",
      columns: [what, "read", "kept", "characters kept", "share"],
      rows: Object.entries(read).map(([name, { documents }]) => {
        const { documents: left, characters } = Object.hasOwn(kept, name)
          ? kept[name]
          : { documents: 0, characters: 0 };
        return [name, count(documents), count(left), count(characters), percent(characters, total)];
      }),
      notes: [],
    },
  };
}

function count(number: number): string {
  return number.toLocaleString("en");
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${(100 * part / whole).toFixed(1)} %`;
}
