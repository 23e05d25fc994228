/** Other people's models are asked in every protocol by their own tokenizers and chat templates. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { modelAnswerer } from "../../eval/model-answerer.ts";
import { runEvaluation } from "../../eval/run-evaluation.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { gpu } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { templates } from "../tokenizers/chat-templates.ts";
import { writeTinyPeer } from "../tokenizers/tiny-peer.ts";
import { sentencePieceTokenizer } from "../tokenizers/tiny-tokenizers.ts";
import { writeMadeUpCeval } from "./made-up-ceval.ts";

/** The first question of the subject `logic`, and the first of its shots. */
const SHOT = "20 + 1 = ____。\nA. 20\nB. 21\nC. 22\nD. 23\n答案：";
const QUESTION = SHOT;

/** Each protocol's words, without what the tokenizer or the chat template adds. */
const WORDS: Record<string, string> = {
  official: "以下是中国关于逻辑学考试的单项选择题，请选出其中的正确答案。\n\n" +
    `${SHOT}A\n\n${QUESTION}`,
  harness: `以下是中国关于逻辑学的单项选择题，请选出其中的正确答案。\n\n${SHOT} A\n\n${QUESTION}`,
  "steel-base": `以下是一道单项选择题，请直接给出答案。${SHOT}A\n\n` +
    `以下是一道单项选择题，请直接给出答案。${QUESTION}`,
  "steel-chat": "以下是一道单选题:\n20 + 1 = ( )\n\nA. 20\nB. 21\nC. 22\nD. 23\n请给出答案。\n",
  sft: "以下是一道单选题：\n20 + 1 = ____。\nA. 20\nB. 21\nC. 22\nD. 23\n请直接给出答案。",
};
const WITH_SHOTS = ["official", "harness", "steel-base"];

/** The chat of a turn, by template, and the letters as answers there. */
const CHATS: Record<string, { chat(text: string, system?: string): string; letter: string }> = {
  llama2: {
    chat: (text, system) =>
      `<s>[INST] ${system ? `<<SYS>>\n${system}\n<</SYS>>\n\n` : ""}${text.trim()} [/INST]`,
    letter: " A",
  },
  gemma: {
    chat: (text) => `<bos><start_of_turn>user\n${text.trim()}<end_of_turn>\n<start_of_turn>model\n`,
    letter: "A",
  },
};

for (const [name, { chat, letter }] of Object.entries(CHATS)) {
  Deno.test(`a ${name} is asked in every protocol as its tokenizer and its template have it`, () =>
    inTemporaryFolder(async (dir) => {
      await writeMadeUpCeval(`${dir}/ceval`);
      const { template } = templates[name];
      const base = sentencePieceTokenizer(name === "llama2" ? "Llama 2" : "Gemma");
      await writeTinyPeer(`${dir}/model`, name === "llama2" ? "llama" : name, base, template);
      const model = await loadModel(`${dir}/model`, { gpu, precision: "f32" });
      const { tokenizer } = model;
      const [begin] = tokenizer.encodePrompt("");
      for (const [protocol, words] of Object.entries(WORDS)) {
        const asked: number[][] = [];
        let letters: number[] = [];
        const answerer = modelAnswerer(model, name);
        const results = await runEvaluation(
          {
            ...{ benchmark: "ceval", protocol, data: `${dir}/ceval`, out: `${dir}/${protocol}` },
            ...{ subjects: ["logic"], limit: 1, shots: WITH_SHOTS.includes(protocol) ? 1 : 0 },
          },
          {
            ...answerer,
            letterScores: (prompts, ids) => {
              asked.push(...prompts);
              letters = ids;
              return answerer.letterScores(prompts, ids);
            },
            generate: (prompts) => {
              asked.push(...prompts);
              return Promise.resolve(prompts.map(() => "A"));
            },
          },
        );
        assertEquals(results.questions, 1);
        const system = protocol.startsWith("steel") ? "You are a helpful assistant." : undefined;
        const isChat = system !== undefined || protocol === "sft";
        const expected = isChat
          ? tokenizer.encode(chat(words, system))
          : [begin, ...tokenizer.encode(words)];
        assertEquals(asked, [expected], protocol);
        assertEquals(expected.filter((id) => id === begin).length, 1, "begins once");
        const refuses = name === "gemma" && system !== undefined;
        assertEquals(results.problems.length, refuses ? 1 : 0, protocol);
        if (protocol.startsWith("steel")) continue;
        // The letter is the token that follows the prompt when it is written out.
        const answer = protocol === "sft" ? letter : protocol === "harness" ? " A" : "A";
        const whole = isChat
          ? tokenizer.encode(chat(words, system) + answer)
          : tokenizer.encodePrompt(words + answer);
        assertEquals(whole.slice(0, expected.length), expected);
        assertEquals(letters[0], whole[expected.length], protocol);
        assert(new Set(letters).size === 4);
      }
      model.close();
    }));
}

Deno.test("a model without a chat template is asked in the other protocols alone", () =>
  inTemporaryFolder(async (dir) => {
    await writeMadeUpCeval(`${dir}/ceval`);
    await writeTinyPeer(`${dir}/model`, "llama", sentencePieceTokenizer("Llama 2"));
    const model = await loadModel(`${dir}/model`, { gpu, precision: "f32" });
    const ask = (protocol: string) =>
      runEvaluation(
        {
          ...{ benchmark: "ceval", protocol, data: `${dir}/ceval`, out: `${dir}/${protocol}` },
          ...{ subjects: ["logic"], limit: 1, shots: 0 },
        },
        modelAnswerer(model, "llama"),
      );
    assertEquals((await ask("harness")).questions, 1);
    for (const protocol of ["sft", "steel-chat"]) {
      await assertRejects(() => ask(protocol), UserError, "this checkpoint has no chat template");
    }
    model.close();
  }));
