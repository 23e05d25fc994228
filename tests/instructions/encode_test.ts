/** Token ids and labels by LLaMA-Factory's template, masking and cutting, with one id a character. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  encodeConversation,
  encodePreference,
  type EncodingRules,
  type Example,
  shareRoom,
} from "../../data/instructions/encode.ts";
import { ExampleStore } from "../../data/instructions/example-store.ts";
import { type Conversation, UnusableExample } from "../../data/instructions/conversation.ts";
import { chatMl, renderChat } from "../../model/tokenizer/chat-ml.ts";

/** ChatML, with the ids of a tokenizer. */
const inChatMl = (encode: (text: string) => number[]) => ({
  encodeTurns: (conversation: Conversation) => chatMl.encodeTurns(conversation, { encode }),
});

/** Marks are one token each, as in Qwen's vocabulary; so is every other character. */
const template = inChatMl((text) =>
  [...text.matchAll(/<\|im_(start|end)\|>|[^]/gu)].map(([token]) =>
    token.length > 2 ? token.length + 0x110000 : token.codePointAt(0)!
  )
);
const decode = (ids: number[]) =>
  ids.map((id) =>
    id === -100
      ? "_"
      : id === 0x110000 + 12
      ? "<|im_start|>"
      : id === 0x110000 + 10
      ? "<|im_end|>"
      : String.fromCodePoint(id)
  ).join("");

const RULES: EncodingRules = { cutoff: 1000, trainOnPrompt: false, maskHistory: false };
const TWO_TURNS = {
  system: "简短",
  turns: [{ question: "一？", answer: "1" }, { question: "二？", answer: "22" }],
};
const encode = (rules: Partial<EncodingRules> = {}) =>
  encodeConversation(TWO_TURNS, template, { ...RULES, ...rules });
const text = ({ ids }: Example) => decode(ids);
/** Labels as text, each run of ignored ones as one `_`. */
const learnt = ({ labels }: Example) => decode(labels).replaceAll(/_+/g, "_");

Deno.test("the text is Qwen's chat template; every answer and its mark is learnt", () => {
  const whole = renderChat([
    { role: "system", content: "简短" },
    { role: "user", content: "一？" },
    { role: "assistant", content: "1" },
    { role: "user", content: "二？" },
    { role: "assistant", content: "22" },
  ]);
  assertEquals(text(encode()) + "\n", whole);
  assertEquals(learnt(encode()), "_1<|im_end|>_22<|im_end|>");
  const { ids, labels } = encode();
  assertEquals(ids.filter((_, i) => labels[i] !== -100), labels.filter((label) => label !== -100));
  const plain = encodeConversation({ turns: TWO_TURNS.turns }, template, RULES);
  assertEquals(text(plain).slice(0, 50), "<|im_start|>system\nYou are a helpful assistant.<|i");
});

Deno.test("train_on_prompt learns everything, mask_history the last answer only", () => {
  const all = encode({ trainOnPrompt: true });
  assertEquals(all.labels, all.ids);
  const last = encode({ maskHistory: true });
  assertEquals(last.ids, encode().ids);
  assertEquals(learnt(last), "_22<|im_end|>");
});

Deno.test("the room is shared between prompt and answer as infer_seqlen does", () => {
  assertEquals(shareRoom(100, 10, 50), { prompt: 40, answer: 10 }, "a short answer stays whole");
  assertEquals(shareRoom(10, 100, 50), { prompt: 10, answer: 40 }, "a short prompt stays whole");
  assertEquals(shareRoom(100, 50, 60), { prompt: 40, answer: 20 }, "both lose in proportion");
  assertEquals(shareRoom(10, 10, 50), { prompt: 10, answer: 10 });
});

Deno.test("turns beyond the cutoff are dropped: the last ones, or the first with mask_history", () => {
  const first = encode().ids.indexOf(0x110000 + 10, 25) + 1;
  assertEquals(learnt(encode({ cutoff: first })), "_1<|im_end|>");
  const cut = encode({ cutoff: 22, maskHistory: true });
  assertEquals(cut.ids.length, 22);
  assertEquals(learnt(cut), "_22<|im_end|>");
  assertEquals(text(cut).startsWith("\n<|im_start|>user\n二？<|im_end|>"), true);
  assertThrows(() => encode({ cutoff: 1 }), UnusableExample, "nothing of its answers is left");
});

Deno.test("a preference has one prompt and two answers, cut by the longer one", () => {
  const pair = {
    system: "算",
    history: [{ question: "一", answer: "1" }],
    question: "二",
    chosen: "2",
    rejected: "就是二啊",
  };
  const { chosen, rejected } = encodePreference(pair, template, 1000);
  assertEquals(learnt(chosen), "_2<|im_end|>");
  assertEquals(learnt(rejected), "_就是二啊<|im_end|>");
  const prompt = text(chosen).slice(0, -"2<|im_end|>".length);
  assertEquals(text(rejected), `${prompt}就是二啊<|im_end|>`);
  const cut = encodePreference(pair, template, 14);
  assertEquals([cut.chosen.ids.length, cut.rejected.ids.length], [11, 14]);
  assertEquals(learnt(cut.chosen), "_2<|im_end|>");
  const same = { ...pair, rejected: "2" };
  assertThrows(
    () => encodePreference(same, template, 99),
    UnusableExample,
    "chosen answer is the rejected one",
  );
  const long = "好".repeat(100);
  const late = { ...pair, chosen: `${long}一`, rejected: `${long}二` };
  assertThrows(
    () => encodePreference(late, template, 40),
    UnusableExample,
    "its answers are the same",
  );
});

Deno.test("earlier turns of a preference have the tokens that they have in a conversation", () => {
  /** Like Qwen's, it makes one token of two line feeds: where texts are joined, tokens change. */
  const pairs = inChatMl((text) => [...text.matchAll(/\n\n|[^]/g)].map(([s]) => s.length));
  const earlier = { question: "列举", answer: "\n- 一" };
  const rules = { cutoff: 1000, trainOnPrompt: false, maskHistory: false };
  const last = { question: "还有", answer: "二" };
  const taught = encodeConversation({ turns: [earlier, last] }, pairs, rules);
  const pair = { history: [earlier], question: "还有", chosen: "二", rejected: "三四" };
  assertEquals(encodePreference(pair, pairs, 1000).chosen.ids, taught.ids);
});

Deno.test("examples come out of the store as they went in, across its pages", () => {
  const examples = [[1, 2, 3], new Array(2 ** 20 - 4).fill(151935), [7, 8, 9, 10], [11]]
    .map((ids) => ({ ids, labels: ids.with(0, -100) }));
  const store = new ExampleStore();
  for (const example of examples) store.add(example);
  assertEquals(store.length, 4);
  for (const index of [3, 0, 2]) assertEquals(store.at(index), examples[index]);
  assert(store.at(1).labels.every((label, i) => label === examples[1].labels[i]));
});
