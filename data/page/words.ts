/**
 * Pages may speak English and Chinese: every text is there twice, and the style sheet shows one of
 * them. Which one is chosen in the browser, by `language.js`.
 */
import { escapeHtml } from "./escape.ts";

/** A text in both languages. */
export interface Words {
  /** English. */
  readonly en: string;
  /** Simplified Chinese. */
  readonly zh: string;
}

/** A text of a page: in both languages, or one that is the same in both. */
export type PageText = string | Words;

/** A text in both languages. */
export function words(en: string, zh: string): Words {
  return { en, zh };
}

/** A text that is written alike in both languages, of parts that are not. */
export function inBoth(write: (say: (text: PageText) => string) => string): Words {
  return words(write(inEnglish), write((text) => typeof text === "string" ? text : text.zh));
}

/** The English of a text. */
export function inEnglish(text: PageText): string {
  return typeof text === "string" ? text : text.en;
}

/** A text as HTML, in both languages. */
export function bothHtml(text: PageText): string {
  if (typeof text === "string") return escapeHtml(text);
  return `<span lang="en">${escapeHtml(text.en)}</span><span lang="zh">${
    escapeHtml(text.zh)
  }</span>`;
}

/** Hides the other language's texts, and lays out {@linkcode titleHtml}. */
export const LANGUAGE_STYLE = `
:root:lang(en) :lang(zh), :root:lang(zh) :lang(en) { display: none; }
.top { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
.top h1 { flex: 1; margin: 8px 0 4px; }
.top button { flex: none; font: inherit; font-size: .88rem; color: inherit; padding: 4px 12px;
  background: var(--panel); border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
@media (max-width: 560px) {
  .top h1 { flex-basis: 100%; font-size: 1.35rem; }
  :root:lang(zh) .cards td[data-zh]::before { content: attr(data-zh); }
}`;

/**
 * The top of a page that speaks both languages: its title, and the button that changes the language.
 *
 * @param links to other pages, as HTML
 */
export function titleHtml(title: string, links: readonly string[] = []): string {
  return `<div class="top"><h1>${escapeHtml(title)}</h1>
${links.join("\n")}
<button type="button" id="language">中文</button></div>`;
}
