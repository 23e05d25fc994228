/** Other people's models write and chat with their own tokenizers and templates. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadModel } from "../../model/host/load-model.ts";
import { Chat } from "../../model/inference/chat.ts";
import { gpu } from "../kernels/harness.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { templates } from "../tokenizers/chat-templates.ts";
import { writeTinyPeer } from "../tokenizers/tiny-peer.ts";
import { sentencePieceTokenizer } from "../tokenizers/tiny-tokenizers.ts";

Deno.test("a chat is what the model writes after its template's text, turn by turn", () =>
  inTemporaryFolder(async (dir) => {
    const { template } = templates.llama2;
    await writeTinyPeer(dir, "llama", sentencePieceTokenizer("Llama 2"), template);
    const model = await loadModel(dir, { gpu, precision: "f32" });
    const options = { maxTokens: 6, temperature: 0 };
    const chat = new Chat(model, { ...options, system: "Be brief." });
    const answer = async (question: string) => (await Array.fromAsync(chat.say(question))).join("");
    const written = async (text: string) => {
      const [{ text: answer }] = await model.generateMany([model.tokenizer.encode(text)], options);
      return answer;
    };
    const before = "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nthe ice [/INST]";
    const first = await answer("the ice");
    assert(first.length > 0);
    assertEquals(first, await written(before));
    const second = await answer("the steam");
    const after = ` ${first.trim()} </s><s>[INST] the steam [/INST]`;
    assertEquals(second, await written(before + after));

    // A text that is continued begins with <s> as well; a stream keeps the space before a word.
    const prompt = model.tokenizer.encodePrompt("the ice");
    assertEquals(model.tokenizer.decode(prompt), "<s> the ice");
    const fromText = await Array.fromAsync(model.generate("the ice", options));
    const fromIds = await Array.fromAsync(model.generate(prompt, options));
    assertEquals(fromText, fromIds);
    model.close();
  }));

Deno.test("what a template refuses is said in its own words", () =>
  inTemporaryFolder(async (dir) => {
    await writeTinyPeer(dir, "gemma", sentencePieceTokenizer("Gemma"), templates.gemma.template);
    const model = await loadModel(dir, { gpu, precision: "f32" });
    const chat = new Chat(model, { system: "Be brief." });
    await assertRejects(
      () => Array.fromAsync(chat.say("the ice")),
      UserError,
      "the checkpoint's chat template does not take this chat: System role not supported",
    );
    model.close();
  }));
