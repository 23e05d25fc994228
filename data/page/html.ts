import { DARK_CHARTS } from "./draw.ts";
import { escapeHtml } from "./escape.ts";
import { htmlDocument } from "./html-document.ts";
import { contentsOf, type Page, type PageBlock, type Section } from "./page.ts";
import type { Table } from "./table.ts";

/**
 * A page as HTML that needs nothing else: it refers to no other file.
 *
 * @param script address of a script that keeps the page up to date; none when left out
 */
export function toHtml(page: Page, script?: string): string {
  const contents = contentsOf(page);
  const blocks = [
    ...listOfContents([...contents.values()]),
    ...page.blocks.map((block) => blockToHtml(block, contents.get(block))),
  ];
  return htmlDocument({
    title: page.title,
    style: DARK_CHARTS,
    script,
    body: `<h1>${escapeHtml(page.title)}</h1>\n${blocks.join("\n")}`,
  });
}

function listOfContents(sections: Section[]): string[] {
  if (sections.length === 0) return [];
  const items = sections.map(({ text, anchor }) =>
    `<li><a href="#${escapeHtml(anchor)}">${escapeHtml(text)}</a></li>`
  );
  return [`<nav aria-label="Contents"><ol>${items.join("")}</ol></nav>`];
}

function blockToHtml(block: PageBlock, section?: Section): string {
  switch (block.kind) {
    case "heading": {
      const id = section ? ` id="${escapeHtml(section.anchor)}"` : "";
      return `<h${block.level}${id}>${escapeHtml(block.text)}</h${block.level}>`;
    }
    case "text":
      return `<p>${escapeHtml(block.text)}</p>`;
    case "list": {
      const items = block.items.map((item) => `<li>${escapeHtml(item)}</li>`);
      return folded(`<ul>${items.join("")}</ul>`, block);
    }
    case "figures": {
      const figures = block.figures.map(({ label, value }) =>
        `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`
      );
      return `<dl class="figures">${figures.join("")}</dl>`;
    }
    case "table":
      return folded(tableToHtml(block.table, block.cards), block);
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
    case "chat": {
      const turns = block.turns.map(({ speaker, text }) =>
        `<div class="${speaker}"><dt>${speaker}</dt><dd>${escapeHtml(text)}</dd></div>`
      );
      return `<dl class="chat">${turns.join("")}</dl>`;
    }
  }
}

function folded(html: string, { summary }: { summary?: string }): string {
  if (summary === undefined) return html;
  return `<details><summary>${escapeHtml(summary)}</summary>${html}</details>`;
}

/** Tables of two columns hold words; others, numbers that stand below one another. */
function tableToHtml({ columns, rows, notes }: Table, cards = false): string {
  const heads = columns.map((cell) => `<th>${cellToHtml(cell)}</th>`);
  const body = rows.map((row) => {
    const cells = row.map((cell, index) =>
      cards && index > 0
        ? `<td data-label="${escapeHtml(columns[index])}">${cellToHtml(cell)}</td>`
        : `<td>${cellToHtml(cell)}</td>`
    );
    return `<tr>${cells.join("")}</tr>`;
  });
  const style = ["table", columns.length === 2 && "words", cards && "cards"].filter(Boolean);
  return `<div class="${style.join(" ")}"><table>\n<thead><tr>${heads.join("")}</tr></thead>\n` +
    `<tbody>\n${body.join("\n")}\n</tbody></table></div>` +
    notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("");
}

/** The sign of a standard error stays on its line. */
function cellToHtml(cell: string): string {
  return escapeHtml(cell).replaceAll("± ", "±&nbsp;");
}
