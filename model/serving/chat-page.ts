import { readFileSync } from "node:fs";
import { escapeHtml } from "../../data/page/escape.ts";
import { FORM_STYLE } from "../../data/page/form-style.ts";
import { htmlDocument } from "../../data/page/html-document.ts";

const PAGE_STYLE = `
main { max-width: 860px; }
h1 { margin: 8px 0 4px; }
.about { color: var(--soft); font-size: .88rem; margin: 0 0 12px; }`;

/** The page on which a visitor chats with the model that a server has, as HTML. */
export function chatPage(name: string): string {
  return htmlDocument({
    title: name,
    style: FORM_STYLE + PAGE_STYLE,
    script: "chat.js",
    body: `<h1>${escapeHtml(name)}</h1>
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
</form>`,
  });
}

/** The page's script. */
chatPage.script = readFileSync(new URL("./chat.js", import.meta.url), "utf8");
