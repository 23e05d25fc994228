import type { Chart } from "./draw.ts";
import type { Table } from "./table.ts";
import { inEnglish, type PageText } from "./words.ts";

/**
 * A page of a report, before it is HTML or Markdown. Its texts are plain: what is markup in one of
 * the two formats is escaped there. A page with a script speaks both languages, all others English.
 */
export interface Page {
  /** Its title. */
  title: string;
  /** Its parts, in their order. */
  blocks: PageBlock[];
}

/** A part of a page. */
export type PageBlock =
  | { kind: "heading"; level: 2 | 3; text: PageText }
  | { kind: "text"; text: PageText }
  /** `summary` folds the items away under that line. */
  | { kind: "list"; items: PageText[]; summary?: PageText }
  /** A few numbers that matter most. */
  | { kind: "figures"; figures: Figure[] }
  /**
   * `summary` folds the table away under that line; with `cards`, each row becomes a card where the
   * screen is too narrow for the columns.
   */
  | { kind: "table"; table: Table; summary?: PageText; cards?: boolean }
  /** `caption` says in words what is seen; small charts stand side by side. */
  | { kind: "chart"; title: PageText; chart: Chart; caption: PageText; small?: boolean }
  | { kind: "code"; text: string }
  | { kind: "quote"; text: string }
  | { kind: "chat"; turns: ChatTurn[] };

/** A number that matters. */
export interface Figure {
  /** What it is. */
  label: PageText;
  /** The number as text. */
  value: PageText;
}

/** What one side of a chat says. */
export interface ChatTurn {
  /** Who says it. */
  speaker: "user" | "model";
  /** What is said. */
  text: string;
}

/** A heading that the list of contents names. */
export interface Section {
  /** Its text. */
  text: PageText;
  /** The name that links lead to, as GitHub makes it of the text. */
  anchor: string;
}

/** A page is short enough to need no list of contents if it has fewer sections. */
const FEWEST_LISTED = 3;

/** The sections that the list of contents of a page names, by their headings; none if it is short. */
export function contentsOf({ title, blocks }: Page): Map<PageBlock, Section> {
  const sections = new Map<PageBlock, Section>();
  const taken = new Set([anchorOf(title)]);
  for (const block of blocks) {
    if (block.kind !== "heading") continue;
    const plain = anchorOf(inEnglish(block.text));
    let anchor = plain;
    for (let count = 1; taken.has(anchor); count++) anchor = `${plain}-${count}`;
    taken.add(anchor);
    if (block.level === 2) sections.set(block, { text: block.text, anchor });
  }
  return sections.size < FEWEST_LISTED ? new Map() : sections;
}

function anchorOf(text: string): string {
  return text.trim().toLowerCase().replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "").replaceAll(" ", "-");
}
