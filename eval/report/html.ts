import { escapeHtml, htmlPage } from "../../data/html-page.ts";
import type { Table } from "../table.ts";
import type { ReportBlock, ReportPage } from "./report-page.ts";

/** A report as one HTML page. */
export function toHtml({ title, blocks }: ReportPage): string {
  const body = `<main>
<h1>${escapeHtml(title)}</h1>
${blocks.map(blockToHtml).join("\n")}
</main>`;
  return htmlPage({ title, style: STYLE, body });
}

const STYLE = `
:root { color-scheme: light; --ink: #222; --soft: #666; --line: #ddd; --panel: #f6f7f9; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 740px; margin: 0 auto; padding: 16px 20px 48px; }
h1 { font-size: 1.6rem; margin: 16px 0; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 44px 0 12px; padding-top: 12px; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 28px 0 8px; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; margin: 12px 0; padding: 0; }
.figures div { background: var(--panel); border-radius: 6px; padding: 10px 12px; }
.figures dt { font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
.figures dd { margin: 2px 0 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 18px 0; }
figure h3 { margin: 0 0 4px; font-size: .95rem; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { font-size: .8rem; color: var(--soft); }
.small { display: inline-block; width: calc(50% - 12px); min-width: min(100%, 300px); margin: 14px 8px 14px 0; vertical-align: top; }
.narrow { display: none; }
.table { overflow-x: auto; margin: 12px 0 4px; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; overflow-wrap: anywhere; min-width: 6em; }
th { font-weight: 600; border-bottom: 2px solid var(--line); }
.words td, .words th { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.note { margin: 2px 0; font-size: .8rem; color: var(--soft); }
blockquote { margin: 10px 0; padding: 8px 14px; background: var(--panel); border-left: 3px solid #7ea6d3; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: var(--panel); padding: 12px; border-radius: 6px; font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: 12px 0; } summary { cursor: pointer; }
@media (max-width: 560px) {
  main { padding: 8px 14px 32px; }
  .wide { display: none; } .narrow { display: block; }
  table { font-size: .8rem; } th, td { white-space: normal; padding: 4px 6px; }
}
@media print {
  main { max-width: none; padding: 0; } body { font-size: 11pt; }
  .wide { display: block; } .narrow { display: none; }
  details::details-content { display: block; content-visibility: visible; }
  figure, blockquote, tr, .figures div { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
`;

function blockToHtml(block: ReportBlock): string {
  switch (block.kind) {
    case "heading":
      return `<h${block.level}>${escapeHtml(block.text)}</h${block.level}>`;
    case "text":
      return `<p>${escapeHtml(block.text)}</p>`;
    case "figures": {
      const figures = block.figures.map(({ label, value }) =>
        `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`
      );
      return `<dl class="figures">${figures.join("")}</dl>`;
    }
    case "table": {
      const table = tableToHtml(block.table);
      if (block.summary === undefined) return table;
      return `<details><summary>${escapeHtml(block.summary)}</summary>${table}</details>`;
    }
    case "chart": {
      const { title, chart, caption, small } = block;
      const picture = small
        ? `<div aria-hidden="true">${chart.narrow}</div>`
        : `<div class="wide" aria-hidden="true">${chart.wide}</div>` +
          `<div class="narrow" aria-hidden="true">${chart.narrow}</div>`;
      return `<figure${small ? ' class="small"' : ""}><h3>${escapeHtml(title)}</h3>${picture}` +
        `<figcaption>${escapeHtml(caption)}</figcaption></figure>`;
    }
    case "code":
      return `<pre><code>${escapeHtml(block.text)}</code></pre>`;
    case "quote":
      return `<blockquote>${escapeHtml(block.text)}</blockquote>`;
  }
}

/** Tables of two columns hold words; others, numbers that stand below one another. */
function tableToHtml({ columns, rows, notes }: Table): string {
  const line = (cells: string[], tag: "th" | "td") =>
    `<tr>${
      cells.map((cell) => `<${tag}>${escapeHtml(cell).replaceAll("± ", "±&nbsp;")}</${tag}>`).join(
        "",
      )
    }</tr>`;
  const style = columns.length === 2 ? "table words" : "table";
  const body = rows.map((row) => line(row, "td")).join("\n");
  return `<div class="${style}"><table>\n<thead>${line(columns, "th")}</thead>\n` +
    `<tbody>\n${body}\n</tbody></table></div>` +
    notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("");
}
