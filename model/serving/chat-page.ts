import { FORM_STYLE } from "../../data/page/form-style.ts";
import { htmlDocument } from "../../data/page/html-document.ts";
import { pageScript } from "../../data/page/page-script.ts";
import { bothHtml, LANGUAGE_STYLE, titleHtml } from "../../data/page/words.ts";
import { conversationHtml } from "../web/talk.ts";

/** The page on which a visitor chats with the model that a server has, as HTML. */
export function chatPage(name: string): string {
  const about = {
    en: "What you write goes to this server, which keeps none of it.",
    zh: "您输入的内容只发送到本服务器，且不会保存。",
  };
  const keyLabel = { en: "key of the server, if it asks for one", zh: "服务器密钥（如需要）" };
  const key = `<label>${
    bothHtml(keyLabel)
  }<input type="password" name="key" autocomplete="off"></label>`;
  return htmlDocument({
    title: name,
    style: FORM_STYLE + LANGUAGE_STYLE,
    script: "chat.js",
    body: `${titleHtml(name)}
<p>${bothHtml(about)}</p>
<form id="talk">
${conversationHtml("", key)}
</form>`,
  });
}

/** The page's script. */
chatPage.script = pageScript(new URL("./chat.js", import.meta.url));
