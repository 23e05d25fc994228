/**
 * What a page in two languages does in the browser. Plain JavaScript: servers send it as it is, and
 * the scripts of sites are bundled with it.
 */

/**
 * Puts a text in both languages into an element.
 *
 * @param {Element} element
 * @param {import("./words.ts").Words} words
 */
export function say(element, words) {
  element.replaceChildren(...["en", "zh"].map((lang) => {
    const span = document.createElement("span");
    span.lang = lang;
    span.textContent = words[lang];
    return span;
  }));
}

/**
 * What an error says. One that was made for visitors has `words` in both languages; those of the
 * program itself are in English alone.
 *
 * @param {unknown} error
 * @returns {import("./words.ts").Words}
 */
export function wordsOf(error) {
  if (error?.words) return error.words;
  const message = error instanceof Error ? error.message : String(error);
  return { en: message, zh: `出错了：${message}` };
}

/**
 * Shows the visitor's language, or the one that was chosen before, and lets it be changed.
 *
 * @param {HTMLElement} button
 */
export function chooseLanguage(button) {
  const show = (lang) => {
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
