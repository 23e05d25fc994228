/**
 * The script of the chat page: it asks this server, as any other client would. It is sent behind
 * `language.js`.
 */

const form = document.getElementById("talk");
const transcript = document.getElementById("transcript");
const [send, stop, reset] = ["send", "stop", "reset"].map((id) => document.getElementById(id));
const speed = document.getElementById("speed");
const text = form.elements.namedItem("text");

let messages = [];
let answering;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (send.disabled || text.value.trim() === "") return;
  const asked = { role: "user", content: text.value };
  text.value = "";
  [send.disabled, stop.disabled, answering] = [true, false, new AbortController()];
  added("user", asked.content);
  const turn = added("model", "");
  const own = messages;
  try {
    const content = await answerTo([...messages, asked], turn, answering.signal);
    // Only an answer that was read to its end becomes part of the conversation.
    if (own === messages) messages = [...messages, asked, { role: "assistant", content }];
  } catch (error) {
    if (answering.signal.aborted) turn.append(" ■");
    else showError(turn, error);
  }
  [send.disabled, stop.disabled] = [false, true];
});
text.addEventListener("keydown", (event) => {
  // While Chinese is being typed, Enter chooses characters.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stop.addEventListener("click", () => answering?.abort());
reset.addEventListener("click", () => {
  answering?.abort();
  messages = [];
  transcript.replaceChildren();
});

/** Shows an answer piece by piece, and returns it. */
async function answerTo(messages, turn, signal) {
  const { key, ...sampling } = Object.fromEntries(new FormData(form));
  delete sampling.text;
  const numbers = Object.entries(sampling).filter(([, value]) => value !== "")
    .map(([name, value]) => [inSnakeCase(name), Number(value)]);
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(key && { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify({ messages, stream: true, ...Object.fromEntries(numbers) }),
    signal,
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const began = performance.now();
  let tokens = 0;
  for await (const { error, choices } of eventsOf(response.body)) {
    if (error) throw new Error(error.message);
    const piece = choices[0]?.delta.content;
    if (!piece) continue;
    turn.append(piece);
    turn.scrollIntoView({ block: "nearest" });
    const rate = (1000 * ++tokens / (performance.now() - began)).toFixed(1);
    say(speed, { en: `${tokens} pieces, ${rate} a second`, zh: `${tokens} 段，每秒 ${rate} 段` });
  }
  return turn.textContent;
}

/** The data of server-sent events. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let begun = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (begun + value).split("\n\n");
    begun = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

function added(who, content) {
  const turn = document.createElement("div");
  turn.className = who;
  turn.textContent = content;
  transcript.append(turn);
  turn.scrollIntoView({ block: "nearest" });
  return turn;
}

function showError(turn, error) {
  turn.setAttribute("role", "alert");
  say(turn, wordsOf(error));
}

/** `topP` as OpenAI's API has it: `top_p`. */
function inSnakeCase(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

chooseLanguage(document.getElementById("language"));
send.disabled = false;
text.focus();
