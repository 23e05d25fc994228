/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** Pages speak English and Chinese: every text is there twice, and the style sheet shows one of them. */
import { escapeHtml } from "../../data/page/escape.ts";

/** A text in both languages. */
export interface Words {
  /** English. */
  readonly en: string;
  /** Simplified Chinese. */
  readonly zh: string;
}

/** Something that the page says to its visitor, in both languages. */
export class PageError extends Error {
  override name = "PageError";

  /** Takes what was wrong and what to do about it. */
  constructor(readonly words: Words) {
    super(words.en);
  }
}

/** Hides the other language's texts. */
export const LANGUAGE_STYLE =
  `:root:lang(en) :lang(zh), :root:lang(zh) :lang(en) { display: none; }`;

/** A text in both languages, as HTML. */
export function bothHtml({ en, zh }: Words): string {
  return `<span lang="en">${escapeHtml(en)}</span><span lang="zh">${escapeHtml(zh)}</span>`;
}

/** Puts a text in both languages into an element. */
export function say(element: Element, words: Words): void {
  element.replaceChildren(...(["en", "zh"] as const).map((lang) => {
    const span = document.createElement("span");
    span.lang = lang;
    span.textContent = words[lang];
    return span;
  }));
}

/** What an error says; those of the program itself are in English alone. */
export function wordsOf(error: unknown): Words {
  if (error instanceof PageError) return error.words;
  const message = error instanceof Error ? error.message : String(error);
  return { en: message, zh: `出错了：${message}` };
}

/** Shows the visitor's language, or the one that was chosen before, and lets it be changed. */
export function chooseLanguage(button: HTMLElement): void {
  const show = (lang: string) => {
    document.documentElement.lang = lang;
    button.textContent = lang === "zh" ? "English" : "中文";
  };
  show(localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
  button.addEventListener("click", () => {
    const other = document.documentElement.lang === "zh" ? "en" : "zh";
    localStorage.setItem("language", other);
    show(other);
  });
}
