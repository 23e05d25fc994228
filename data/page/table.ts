import { escapeMarkdown } from "./escape.ts";
import { inEnglish, type PageText } from "./words.ts";

/** A table, for a terminal, Markdown or HTML; only on a page may its texts be in two languages. */
export interface Table {
  /** Its title; may be empty. */
  title: string;
  /** The heading of every column. */
  columns: PageText[];
  /** The first cell names the row. */
  rows: PageText[][];
  /** Lines below the table. */
  notes: string[];
}

/** A table for a terminal: the first column is flush left, the others are flush right. */
export function textTable({ title, columns, rows, notes }: Table): string {
  const lines = rows.length === 0 ? [] : [columns, ...rows].map((line) => line.map(inEnglish));
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => displayWidth(line[i]))));
  const write = (line: string[]) =>
    line.map((cell, i) => {
      const padding = " ".repeat(widths[i] - displayWidth(cell));
      return i === 0 ? cell + padding : padding + cell;
    }).join("  ").trimEnd();
  return [title, ...lines.map(write), ...notes].join("\n");
}

/** Whether a table is a list of words about words, flush left: it has two columns, and not of numbers. */
export function holdsWords({ columns, rows }: Table): boolean {
  const isNumber = (cell: string) => /^([+-]?\d.*)?$/.test(cell) && !/\p{L}{3}/u.test(cell);
  return columns.length === 2 && !rows.every((cells) => isNumber(inEnglish(cells[1])));
}

/** A table in GitHub's Markdown, without its title. */
export function markdownTable(table: Table): string {
  const { columns, rows, notes } = table;
  const write = (cells: string[]) => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, i) => i === 0 || holdsWords(table) ? "---" : "---:");
  const lines = [columns, ...rows].map((cells) =>
    cells.map((cell) => escapeMarkdown(inEnglish(cell)))
  );
  return [
    lines.toSpliced(1, 0, rule).map(write).join("\n"),
    ...notes.map((note) => `*${escapeMarkdown(note)}*`),
  ].join("\n\n");
}

/** Columns that a text takes on a terminal: Chinese characters and full-width marks take two. */
export function displayWidth(text: string): number {
  const wide = text.match(/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/g);
  return [...text].length + (wide?.length ?? 0);
}
