import type { Table } from "../table.ts";
import type { Chart } from "./charts.ts";

/** A part of a report. */
export type ReportBlock =
  | { kind: "heading"; level: 2 | 3; text: string }
  | { kind: "text"; text: string }
  /** A few numbers that matter most. */
  | { kind: "figures"; figures: Figure[] }
  /** `summary` folds the table away under that line where the format can. */
  | { kind: "table"; table: Table; summary?: string }
  /** `caption` says in words what is seen; small charts stand side by side. */
  | { kind: "chart"; title: string; chart: Chart; caption: string; small?: boolean }
  | { kind: "code"; text: string }
  | { kind: "quote"; text: string };

/** A number that matters. */
export interface Figure {
  /** What it is. */
  label: string;
  /** The number as text. */
  value: string;
}

/** A report before it is HTML or Markdown. */
export interface ReportPage {
  /** Its title. */
  title: string;
  /** Its parts, in their order. */
  blocks: ReportBlock[];
}
