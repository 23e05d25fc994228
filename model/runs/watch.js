/**
 * The script of the page about running runs: when something has changed, it takes the page anew. It
 * is sent behind `language.js`.
 */

/** Milliseconds between two looks. */
const INTERVAL = 2000;

const notice = document.createElement("p");
notice.setAttribute("role", "alert");
notice.hidden = true;
say(notice, {
  en: "Nothing answers any more: this is what was seen last. deno task watch RUN shows it again.",
  zh: "服务已无响应，以下为上次读到的内容。运行 deno task watch RUN 可再次查看。",
});
document.body.prepend(notice);
notice.style.cssText = "margin: 0; padding: 8px 20px; background: var(--panel); " +
  "border-left: 4px solid #c23531";

let shown; // the version of what is shown

async function look() {
  try {
    const version = await textOf("version");
    if (shown !== version) show(await textOf("."));
    shown = version;
    notice.hidden = true;
  } catch {
    notice.hidden = false;
  }
}

async function textOf(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(response.statusText);
  return await response.text();
}

/** Puts the page's new content in the place of the old; what was unfolded stays so. */
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const open = [...document.querySelectorAll("details")].map((details) => details.open);
  page.querySelectorAll("details").forEach((details, i) => details.open = open[i] ?? false);
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  chooseLanguage(document.getElementById("language"));
}

chooseLanguage(document.getElementById("language"));

await look();
while (true) {
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  if (document.hidden) continue;
  await look();
  // A server that needs long for a page is asked for it less often.
  const spent = performance.now() - began - INTERVAL;
  if (spent > INTERVAL) await new Promise((resolve) => setTimeout(resolve, 4 * spent));
}
