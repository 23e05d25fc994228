import { markdownTable } from "../table.ts";
import type { ReportBlock, ReportPage } from "./report-page.ts";

/** A report in GitHub's Markdown; instead of a chart it has the chart's caption. */
export function toMarkdown({ title, blocks }: ReportPage): string {
  return [`# ${title}`, ...blocks.map(blockToMarkdown)].join("\n\n") + "\n";
}

function blockToMarkdown(block: ReportBlock): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${block.text}`;
    case "text":
      return block.text;
    case "figures":
      return block.figures.map(({ label, value }) => `- ${label}: **${value}**`).join("\n");
    case "table": {
      const { table, summary } = block;
      const text = markdownTable(table);
      if (summary === undefined) return text;
      return `<details><summary>${summary}</summary>\n\n${text}\n\n</details>`;
    }
    case "chart":
      return `*${block.caption}*`;
    case "code":
      return `\`\`\`sh\n${block.text}\n\`\`\``;
    case "quote":
      // Two spaces keep a verse's line breaks.
      return block.text.split("\n").map((line) => `> ${literal(line)}`).join("  \n");
  }
}

/** A text in which nothing is markup. */
function literal(text: string): string {
  return text.replace(/[\\`*_<>&[\]#]/g, "\\$&");
}
