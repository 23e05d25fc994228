import { markdownTable } from "./table.ts";
import { chartFile } from "./draw.ts";
import { escapeHtml, escapeMarkdown, escapeMarkdownLine } from "./escape.ts";
import { contentsOf, type Page, type PageBlock } from "./page.ts";
import { inEnglish, type PageText } from "./words.ts";

/** A page in Markdown with the files that it shows. */
export interface MarkdownPage {
  /** The text. */
  text: string;
  /** The text of each SVG file, by its path from the page's folder. */
  pictures: Map<string, string>;
}

/**
 * A page in GitHub's Markdown.
 *
 * @param folder the name of a folder beside the page, for its charts
 */
export function toMarkdown(page: Page, folder: string): MarkdownPage {
  const pictures = new Map<string, string>();
  const contents = [...contentsOf(page).values()]
    .map(({ text, anchor }) => `- [${escapeMarkdown(inEnglish(text))}](#${anchor})`);
  const blocks = page.blocks.map((block) => {
    if (block.kind !== "chart") return blockToMarkdown(block);
    const title = inEnglish(block.title);
    const words = title.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    const number = String(pictures.size + 1).padStart(2, "0");
    const path = `${folder}/${[number, ...words.slice(0, 5)].join("-")}.svg`;
    pictures.set(path, chartFile(block.chart));
    const caption = escapeMarkdown(inEnglish(block.caption));
    return `**${escapeMarkdown(title)}**\n\n![${escapeMarkdown(title)}](${path})\n\n*${caption}*`;
  });
  const parts = [
    `# ${escapeMarkdown(page.title)}`,
    ...(contents.length > 0 ? [contents.join("\n")] : []),
    ...blocks,
  ];
  return { text: parts.join("\n\n") + "\n", pictures };
}

function blockToMarkdown(block: Exclude<PageBlock, { kind: "chart" }>): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${escapeMarkdown(inEnglish(block.text))}`;
    case "text":
      return escapeMarkdownLine(inEnglish(block.text));
    case "list": {
      const items = block.items.map((item) => `- ${escapeMarkdownLine(inEnglish(item))}`);
      return folded(items.join("\n"), block);
    }
    case "figures":
      return block.figures.map(({ label, value }) =>
        `- ${escapeMarkdownLine(inEnglish(label))}: **${escapeMarkdown(inEnglish(value))}**`
      ).join("\n");
    case "table":
      return folded(markdownTable(block.table), block);
    case "code": {
      // A fence is longer than all that could be taken for its end.
      const longest = Math.max(2, ...(block.text.match(/`+/g) ?? []).map(({ length }) => length));
      const fence = "`".repeat(longest + 1);
      return `${fence}sh\n${block.text}\n${fence}`;
    }
    case "quote":
      return quoted(block.text);
    case "chat":
      return block.turns.map(({ speaker, text }) => quoted(text, `**${speaker}:** `))
        .join("\n>\n");
  }
}

function folded(text: string, { summary }: { summary?: PageText }): string {
  if (summary === undefined) return text;
  return `<details><summary>${escapeHtml(inEnglish(summary))}</summary>\n\n${text}\n\n</details>`;
}

/** A text as it stands, with its lines; `before` is Markdown. */
function quoted(text: string, before = ""): string {
  // Two spaces keep a verse's line breaks.
  return text.split(/\r\n|\r|\n/)
    .map((line, index) => `> ${index === 0 ? before : ""}${escapeMarkdownLine(line)}`.trimEnd())
    .join("  \n");
}
