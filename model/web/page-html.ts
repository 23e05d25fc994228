import { DARK_CHARTS } from "../../data/page/draw.ts";
import { escapeHtml } from "../../data/page/escape.ts";
import { FORM_STYLE } from "../../data/page/form-style.ts";
import { htmlDocument } from "../../data/page/html-document.ts";
import { bothHtml, LANGUAGE_STYLE, titleHtml, type Words } from "../../data/page/words.ts";

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
#state { color: var(--soft); margin: 10px 0; white-space: pre-wrap; }
progress { width: 100%; height: 10px; accent-color: var(--accent); }
.modes { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 12px 0; }`;

const CONTENT_POLICY = `<meta http-equiv="Content-Security-Policy" content="default-src 'self'; \
img-src 'self' data:; style-src 'self' 'unsafe-inline'">`;

/** A page that takes everything from its own site: browsers are told to fetch from nowhere else. */
export function pageHtml({ title, about, links, body, script }: SitePage): string {
  const nav = Object.entries(links).map(([address, words]) =>
    `<a href="${escapeHtml(address)}">${bothHtml(words)}</a>`
  );
  return htmlDocument({
    title,
    head: CONTENT_POLICY,
    style: [DARK_CHARTS, FORM_STYLE, PAGE_STYLE, LANGUAGE_STYLE].join("\n"),
    script,
    body: `${titleHtml(title, nav)}
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
${body}`,
  });
}
