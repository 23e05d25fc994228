import { DARK_CHARTS, englishPicture } from "./draw.ts";
import { escapeHtml } from "./escape.ts";
import { htmlDocument } from "./html-document.ts";
import { contentsOf, type Page, type PageBlock, type Section } from "./page.ts";
import { holdsWords, type Table } from "./table.ts";
import {
  bothHtml,
  inEnglish,
  LANGUAGE_STYLE,
  type PageText,
  titleHtml,
  type Words,
  words,
} from "./words.ts";

/** How texts and pictures become HTML: in both languages, or in English. */
interface Speech {
  say(text: PageText): string;
  picture(svg: string): string;
}

const BOTH: Speech = { say: bothHtml, picture: (svg) => svg };
const ENGLISH: Speech = { say: (text) => escapeHtml(inEnglish(text)), picture: englishPicture };

const SPEAKERS: Record<"user" | "model", Words> = {
  user: words("user", "用户"),
  model: words("model", "模型"),
};

/**
 * A page as HTML that needs nothing else: it refers to no other file.
 *
 * @param script address of a script that keeps the page up to date, and lets the language be chosen;
 *   without one the page is in English
 */
export function toHtml(page: Page, script?: string): string {
  const contents = contentsOf(page);
  const speech = script === undefined ? ENGLISH : BOTH;
  const blocks = [
    ...listOfContents([...contents.values()], speech),
    ...page.blocks.map((block) => blockToHtml(block, speech, contents.get(block))),
  ];
  const top = script === undefined ? `<h1>${escapeHtml(page.title)}</h1>` : titleHtml(page.title);
  return htmlDocument({
    title: page.title,
    style: script === undefined ? DARK_CHARTS : DARK_CHARTS + LANGUAGE_STYLE,
    script,
    body: `${top}\n${blocks.join("\n")}`,
  });
}

function listOfContents(sections: Section[], { say }: Speech): string[] {
  if (sections.length === 0) return [];
  const items = sections.map(({ text, anchor }) =>
    `<li><a href="#${escapeHtml(anchor)}">${say(text)}</a></li>`
  );
  return [`<nav aria-label="Contents"><ol>${items.join("")}</ol></nav>`];
}

function blockToHtml(block: PageBlock, speech: Speech, section?: Section): string {
  const { say, picture } = speech;
  switch (block.kind) {
    case "heading": {
      const id = section ? ` id="${escapeHtml(section.anchor)}"` : "";
      return `<h${block.level}${id}>${say(block.text)}</h${block.level}>`;
    }
    case "text":
      return `<p>${say(block.text)}</p>`;
    case "list": {
      const items = block.items.map((item) => `<li>${say(item)}</li>`);
      return folded(`<ul>${items.join("")}</ul>`, block, speech);
    }
    case "figures": {
      const figures = block.figures.map(({ label, value }) =>
        `<div><dt>${say(label)}</dt><dd>${say(value)}</dd></div>`
      );
      return `<dl class="figures">${figures.join("")}</dl>`;
    }
    case "table":
      return folded(tableToHtml(block.table, speech, block.cards), block, speech);
    case "chart": {
      const { title, chart, caption, small } = block;
      const pictures = small
        ? `<div aria-hidden="true">${picture(chart.narrow)}</div>`
        : `<div class="wide" aria-hidden="true">${picture(chart.wide)}</div>` +
          `<div class="narrow" aria-hidden="true">${picture(chart.narrow)}</div>`;
      return `<figure${small ? ' class="small"' : ""}><h3>${say(title)}</h3>${pictures}` +
        `<figcaption>${say(caption)}</figcaption></figure>`;
    }
    case "code":
      return `<pre><code>${escapeHtml(block.text)}</code></pre>`;
    case "quote":
      return `<blockquote>${escapeHtml(block.text)}</blockquote>`;
    case "chat": {
      const turns = block.turns.map(({ speaker, text }) =>
        `<div class="${speaker}"><dt>${say(SPEAKERS[speaker])}</dt><dd>${
          escapeHtml(text)
        }</dd></div>`
      );
      return `<dl class="chat">${turns.join("")}</dl>`;
    }
  }
}

function folded(html: string, { summary }: { summary?: PageText }, { say }: Speech): string {
  if (summary === undefined) return html;
  return `<details><summary>${say(summary)}</summary>${html}</details>`;
}

function tableToHtml(table: Table, { say }: Speech, cards = false): string {
  const { columns, rows, notes } = table;
  const cellToHtml = (cell: PageText) => notBroken(say(cell));
  const heads = columns.map((cell) => `<th>${cellToHtml(cell)}</th>`);
  const body = rows.map((row) => {
    const cells = row.map((cell, index) =>
      `<td${cards && index > 0 ? cardLabel(columns[index]) : ""}>${cellToHtml(cell)}</td>`
    );
    return `<tr>${cells.join("")}</tr>`;
  });
  const style = ["table", holdsWords(table) && "words", cards && "cards"].filter(Boolean);
  return `<div class="${style.join(" ")}"><table>\n<thead><tr>${heads.join("")}</tr></thead>\n` +
    `<tbody>\n${body.join("\n")}\n</tbody></table></div>` +
    notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("");
}

/** What the style sheet writes above a cell of a card. */
function cardLabel(column: PageText): string {
  const english = ` data-label="${escapeHtml(inEnglish(column))}"`;
  return typeof column === "string" ? english : `${english} data-zh="${escapeHtml(column.zh)}"`;
}

/** A number and its standard error stay on one line. */
function notBroken(html: string): string {
  return html.replaceAll(" ± ", "&nbsp;±&nbsp;");
}
