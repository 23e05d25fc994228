/**
 * LLaMA-Factory's demonstration sets, as tokens and labels: what the stages make of them against the
 * whole chat tokenized at once and labelled by its marks. The sets are not ours to publish: this runs
 * where STEEL_LLM_SAMPLES names a folder of samples that has them beside it, in `sft` and `dpo`.
 */
import { assertEquals } from "@std/assert";
import type { Turn } from "../../data/instructions/conversation.ts";
import { encodeConversation, encodePreference } from "../../data/instructions/encode.ts";
import { Problems, readConversations, readPreferences } from "../../data/instructions/read-set.ts";
import { findSets } from "../../data/instructions/registry.ts";
import { renderChat } from "../../model/tokenizer/chat-ml.ts";
import type { ChatMessage } from "../../model/tokenizer/chat-template.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";

const samples = Deno.env.get("STEEL_LLM_SAMPLES");
const folders = ["sft", "dpo"].map((name) => `${samples}/../${name}`);
const options = { name: "小钢", author: "炼铁诗人", exams: "reasoning" } as const;
/** Long enough for most examples; where one is cut is tested with examples written by hand. */
const CUTOFF = 2048;
const EXAMPLES = 50;
const SETS = [
  "identity",
  "alpaca_zh_demo",
  "alpaca_en_demo",
  "glaive_toolcall_zh_demo",
  `${folders[0]}/ruozhiba_qa.json`,
];

Deno.test({
  name: "the first examples of the demonstration sets are the chat, labelled by its marks",
  ignore: samples === undefined,
  fn: async () => {
    const tokenizer = await qwenTokenizer();
    /** The chat as one text, and as labels: what stands between an answer's opening and its mark. */
    const expected = (system: string | undefined, turns: Turn[], from = 0) => {
      const messages: ChatMessage[] = turns.flatMap(({ question, answer }) => [
        { role: "user", content: question },
        { role: "assistant", content: answer },
      ]);
      if (system) messages.unshift({ role: "system", content: system });
      const ids = tokenizer.encode(renderChat(messages).slice(0, -"\n".length));
      const opening = tokenizer.encode("<|im_start|>assistant\n");
      const opens = (at: number) => opening.every((id, i) => ids[at - opening.length + i] === id);
      let [learnt, turn] = [false, -1];
      const labels = ids.map((id, at) => {
        if (opens(at)) turn++;
        learnt = learnt ? ids[at - 1] !== tokenizer.endOfDocument : opens(at);
        return learnt && turn >= from ? id : -100;
      });
      return { ids, labels };
    };
    const rules = { cutoff: CUTOFF, trainOnPrompt: false, maskHistory: false };
    for (const name of SETS) {
      const [set] = findSets([name], folders);
      let compared = 0;
      for await (const { system, turns } of readConversations(set, options, new Problems())) {
        const example = encodeConversation({ system, turns }, tokenizer, rules);
        const whole = expected(system, turns);
        if (whole.ids.length <= CUTOFF) assertEquals(example, whole, name);
        if (++compared === EXAMPLES) break;
      }
      assertEquals(compared, EXAMPLES, name);
    }
    for (const name of ["dpo_zh_demo", "dpo_en_demo"]) {
      const [set] = findSets([name], folders);
      let compared = 0;
      for await (const preference of readPreferences(set, options, new Problems())) {
        const { system, history, question } = preference;
        const pair = encodePreference(preference, tokenizer, CUTOFF);
        for (const side of ["chosen", "rejected"] as const) {
          const turns = [...history, { question, answer: preference[side] }];
          const whole = expected(system, turns, history.length);
          if (whole.ids.length <= CUTOFF) assertEquals(pair[side], whole, `${name}, ${side}`);
        }
        if (++compared === EXAMPLES) break;
      }
      assertEquals(compared, EXAMPLES, name);
    }
  },
});
