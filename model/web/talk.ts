/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { say, wordsOf } from "../../data/page/language.js";
import { bothHtml, type Words } from "../../data/page/words.ts";
import type { GenerateOptions } from "../inference/language-model.ts";
import { elementOf } from "./element.ts";
import type { Speaker } from "./speaker.ts";

/** What the visitor does with the model. */
export type TalkMode = "complete" | "chat";

/** A number that the visitor sets. */
interface SamplingField {
  readonly name: keyof GenerateOptions & string;
  readonly label: Words;
  /** The value at the start; none where the field may be empty. */
  readonly value?: number;
  readonly least: number;
  readonly most?: number;
  readonly step: number;
}

const FIELDS: readonly SamplingField[] = [
  {
    ...{ name: "temperature", value: 0.8, least: 0, step: 0.1 },
    label: { en: "temperature (0: always the likeliest)", zh: "温度（0：总取最可能的词）" },
  },
  {
    ...{ name: "topP", value: 0.9, least: 0, most: 1, step: 0.05 },
    label: { en: "top-p", zh: "top-p" },
  },
  {
    ...{ name: "topK", value: 0, least: 0, step: 1 },
    label: { en: "top-k (0: off)", zh: "top-k（0：不限）" },
  },
  {
    ...{ name: "repetitionPenalty", value: 1, least: 0.1, step: 0.05 },
    label: { en: "repetition penalty (1: off)", zh: "重复惩罚（1：关闭）" },
  },
  {
    ...{ name: "maxTokens", value: 128, least: 1, step: 1 },
    label: { en: "most tokens", zh: "最多词元数" },
  },
  {
    ...{ name: "seed", least: 0, most: 2 ** 32 - 1, step: 1 },
    label: { en: "seed (empty: another each time)", zh: "种子（留空：每次不同）" },
  },
];

const MODES: Record<TalkMode, Words> = {
  complete: { en: "Continue a text", zh: "续写" },
  chat: { en: "Chat", zh: "对话" },
};

/**
 * The part of a page where the visitor talks with a model, as HTML; {@linkcode talk} brings it to
 * life.
 *
 * @param first the mode at the start
 * @param prompt a text to begin with
 */
export function talkHtml(first: TalkMode, prompt: string): string {
  const modes = Object.entries(MODES).map(([mode, words]) =>
    `<label><input type="radio" name="mode" value="${mode}"${mode === first ? " checked" : ""}> ` +
    `${bothHtml(words)}</label>`
  );
  return `<form id="talk">
<div class="modes">${modes.join("")}</div>
${conversationHtml(prompt)}
</form>`;
}

/**
 * What the form of a page has where a visitor talks with a model, however it is reached: what was
 * said, a field to write in, buttons, and how tokens are chosen.
 *
 * @param prompt a text to begin with
 * @param moreFields further fields beside those for sampling, as HTML
 */
export function conversationHtml(prompt: string, moreFields = ""): string {
  const fields = FIELDS.map(({ name, label, value = "", least, most = "", step }) =>
    `<label>${
      bothHtml(label)
    }<input type="number" name="${name}" value="${value}" min="${least}" ` +
    `max="${most}" step="${step}"></label>`
  );
  return `<div id="transcript" class="chat" role="log" aria-live="polite"></div>
<textarea name="text" rows="3" aria-label="Text / 文字">${prompt}</textarea>
<p class="buttons">
<button type="submit" id="send" disabled>${bothHtml({ en: "Send", zh: "发送" })}</button>
<button type="button" id="stop" disabled>${bothHtml({ en: "Stop", zh: "停止" })}</button>
<button type="button" id="reset">${bothHtml({ en: "Begin anew", zh: "重新开始" })}</button>
<output id="speed"></output>
</p>
<details id="sampling"><summary>${
    bothHtml({ en: "How tokens are chosen", zh: "采样设置" })
  }</summary><div class="fields">${fields.join("")}${moreFields}</div></details>`;
}

/** Lets the visitor talk with a speaker. */
export function talk(speaker: Speaker): void {
  const form = elementOf("talk", HTMLFormElement);
  const transcript = elementOf("transcript", HTMLElement);
  const [send, stop, reset] = ["send", "stop", "reset"].map((id) =>
    elementOf(id, HTMLButtonElement)
  );
  const text = form.elements.namedItem("text") as HTMLTextAreaElement;
  let isStopped = false;

  const begin = async () => {
    if (send.disabled || text.value === "") return;
    const prompt = text.value;
    const isChat = new FormData(form).get("mode") === "chat";
    if (isChat) text.value = "";
    [send.disabled, stop.disabled, reset.disabled, isStopped] = [true, false, true, false];
    // A text that is continued begins with its prompt.
    const answer = added(transcript, "model", isChat ? "" : prompt);
    if (isChat) answer.before(added(transcript, "user", prompt));
    try {
      const options = samplingOf(form);
      const pieces = isChat ? speaker.say(prompt, options) : speaker.complete(prompt, options);
      const began = performance.now();
      let tokens = 0;
      for await (const piece of pieces) {
        answer.append(piece);
        answer.scrollIntoView({ block: "nearest" });
        showSpeed(++tokens, performance.now() - began);
        if (isStopped) break;
      }
    } catch (error) {
      answer.setAttribute("role", "alert");
      say(answer, wordsOf(error));
    }
    [send.disabled, stop.disabled, reset.disabled] = [false, true, false];
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  text.addEventListener("keydown", (event) => {
    // While Chinese is being typed, Enter chooses characters.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    const isChat = new FormData(form).get("mode") === "chat";
    if (!isChat && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("change", () => {
    // The text to begin with is one to continue, not one to say.
    const isChat = new FormData(form).get("mode") === "chat";
    if (isChat && text.value === text.defaultValue) text.value = "";
    if (!isChat && text.value === "") text.value = text.defaultValue;
  });
  stop.addEventListener("click", () => isStopped = true);
  reset.addEventListener("click", () => {
    speaker.reset();
    transcript.replaceChildren();
  });
  send.disabled = false;
}

function added(transcript: HTMLElement, who: "user" | "model", text: string): HTMLElement {
  const turn = document.createElement("div");
  turn.className = who;
  turn.textContent = text;
  transcript.append(turn);
  return turn;
}

/** The settings of the form; the browser has checked that they are in range. */
function samplingOf(form: HTMLFormElement): GenerateOptions {
  const values = new FormData(form);
  return Object.fromEntries(FIELDS.map(({ name }) => {
    const value = String(values.get(name));
    return [name, value === "" ? undefined : Number(value)];
  }));
}

function showSpeed(tokens: number, milliseconds: number): void {
  const speed = (1000 * tokens / milliseconds).toFixed(1);
  say(elementOf("speed", HTMLElement), {
    en: `${tokens} tokens, ${speed} tokens/s`,
    zh: `${tokens} 个词元，每秒 ${speed} 个`,
  });
}
