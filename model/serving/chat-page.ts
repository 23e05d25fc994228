import { readFileSync } from "node:fs";
import { escapeHtml } from "../../data/page/escape.ts";
import { STYLE } from "../../data/page/style.ts";

const PAGE_STYLE = `
main { max-width: 860px; }
[hidden] { display: none !important; }
h1 { margin: 8px 0 4px; }
.about { color: var(--soft); font-size: .88rem; margin: 0 0 12px; }
[role=alert] { border-left: 3px solid #c23531; padding: 6px 12px; background: var(--panel);
  white-space: pre-wrap; overflow-wrap: anywhere; }
button, input, textarea { font: inherit; color: inherit; border-radius: 6px;
  border: 1px solid var(--line); background: var(--paper); }
button { padding: 6px 14px; cursor: pointer; background: var(--panel); }
button[type=submit] { color: var(--paper); background: var(--accent); border-color: var(--accent); }
button:disabled { opacity: .45; cursor: default; }
textarea { display: block; width: 100%; padding: 8px 12px; resize: vertical; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0; }
output { color: var(--soft); font-size: .88rem; font-variant-numeric: tabular-nums; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr));
  gap: 10px 16px; }
.fields label { font-size: .88rem; color: var(--soft); }
.fields input { display: block; width: 100%; padding: 4px 8px; color: var(--ink); }
.chat div { white-space: pre-wrap; overflow-wrap: anywhere; }
.chat .model:empty::before { content: "…"; }`;

/** The page on which a visitor chats with the model that a server has, as HTML. */
export function chatPage(name: string): string {
  const title = escapeHtml(name);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${STYLE}${PAGE_STYLE}</style>
<script type="module" src="chat.js"></script>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="about">What you write goes to this server, which keeps none of it.
您的输入只发送到本服务器，且不会保存。</p>
<div id="transcript" class="chat" role="log" aria-live="polite"></div>
<form id="talk">
<textarea name="text" rows="3" aria-label="Message / 消息" autofocus></textarea>
<p class="buttons">
<button type="submit" id="send">Send 发送</button>
<button type="button" id="stop" disabled>Stop 停止</button>
<button type="button" id="reset">Begin anew 重新开始</button>
<output id="speed"></output>
</p>
<details><summary>How tokens are chosen 采样设置</summary><div class="fields">
<label>temperature 温度
<input type="number" name="temperature" value="0.8" min="0" step="0.1"></label>
<label>top-p <input type="number" name="top_p" value="0.9" min="0" max="1" step="0.05"></label>
<label>most tokens 最多词元数
<input type="number" name="max_tokens" value="256" min="1" step="1"></label>
<label>seed (empty: another each time) 种子（留空：每次不同）
<input type="number" name="seed" min="0" max="4294967295" step="1"></label>
<label>key of the server, if it asks for one 密钥
<input type="password" name="key" autocomplete="off"></label>
</div></details>
</form>
</main>
</body>
</html>
`;
}

/** The page's script. */
chatPage.script = readFileSync(new URL("./chat.js", import.meta.url), "utf8");
