import { DARK_CHARTS } from "../../data/page/draw.ts";
import { escapeHtml } from "../../data/page/escape.ts";
import { STYLE } from "../../data/page/style.ts";
import { bothHtml, LANGUAGE_STYLE, type Words } from "./words.ts";

/** What a page of a site consists of. */
export interface SitePage {
  /** Its title, and its heading. */
  readonly title: string;
  /** Says below the heading what the page is for. */
  readonly about: Words;
  /** Links to the site's other pages, by address. */
  readonly links: Readonly<Record<string, Words>>;
  /** What is on it, as HTML. */
  readonly body: string;
  /** The address of its script. */
  readonly script: string;
}

const PAGE_STYLE = `
[hidden] { display: none !important; }
.top { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
.top h1 { flex: 1; margin: 8px 0 4px; }
.top button { flex: none; }
#state { color: var(--soft); margin: 10px 0; white-space: pre-wrap; }
[role=alert] { color: var(--ink) !important; border-left: 3px solid #c23531; padding: 6px 12px;
  background: var(--panel); white-space: pre-wrap; }
progress { width: 100%; height: 10px; accent-color: var(--accent); }
button, input, textarea, select { font: inherit; color: inherit; border-radius: 6px;
  border: 1px solid var(--line); background: var(--paper); }
button { padding: 6px 14px; cursor: pointer; background: var(--panel); }
button[type=submit] { color: var(--paper); background: var(--accent); border-color: var(--accent); }
button:disabled { opacity: .45; cursor: default; }
textarea { display: block; width: 100%; padding: 8px 12px; resize: vertical; }
.modes { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 12px 0; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; }
output { color: var(--soft); font-size: .88rem; font-variant-numeric: tabular-nums; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px 16px;
  align-items: end; }
.fields label { font-size: .88rem; color: var(--soft); }
.fields input, .fields select { display: block; width: 100%; padding: 4px 8px; color: var(--ink); }
.chat div { white-space: pre-wrap; overflow-wrap: anywhere; }
.chat .model:empty::before { content: "…"; }
@media (max-width: 560px) { .top h1 { flex-basis: 100%; font-size: 1.35rem; } }`;

/** A page that takes everything from its own site: browsers are told to fetch from nowhere else. */
export function pageHtml({ title, about, links, body, script }: SitePage): string {
  const nav = Object.entries(links).map(([address, words]) =>
    `<a href="${escapeHtml(address)}">${bothHtml(words)}</a>`
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; img-src 'self' data:; \
style-src 'self' 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}
${DARK_CHARTS}
${PAGE_STYLE}
${LANGUAGE_STYLE}</style>
<script type="module" src="${escapeHtml(script)}"></script>
</head>
<body>
<main>
<div class="top"><h1>${escapeHtml(title)}</h1>
${nav.join("\n")}
<button type="button" id="language">中文</button></div>
<p>${bothHtml(about)}</p>
<p id="state" aria-live="polite">${
    bothHtml({
      en: "Starting. If this does not go away, the browser is too old for this page, or its " +
        "scripts are off: open it in a current Chrome or Edge.",
      zh:
        "正在启动。若此提示一直不消失，说明浏览器过旧或禁用了脚本：请用新版 Chrome 或 Edge 打开。",
    })
  }</p>
<progress id="progress" max="1" hidden></progress>
${body}
</main>
</body>
</html>
`;
}
