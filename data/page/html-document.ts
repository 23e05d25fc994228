import { escapeHtml } from "./escape.ts";
import { STYLE } from "./style.ts";

/** What differs from one HTML page to another. */
export interface HtmlDocument {
  /** As text. */
  readonly title: string;
  /** What comes behind the style that all pages share. */
  readonly style: string;
  /** The address of its script; none when left out. */
  readonly script?: string;
  /** Further elements of the head, as HTML. */
  readonly head?: string;
  /** What is on the page, as HTML. */
  readonly body: string;
}

/** A whole HTML page in the style that all pages share. */
export function htmlDocument({ title, style, script, head, body }: HtmlDocument): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">${
    head === undefined ? "" : `\n${head}`
  }
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}
${style}</style>${
    script === undefined ? "" : `\n<script type="module" src="${escapeHtml(script)}"></script>`
  }
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}
