import { join } from "node:path";
import { WholeFile } from "../../data/files/whole-file.ts";
import { Chat } from "../../model/inference/chat.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";

/** Most tokens of an answer that shows how a model chats. */
const ANSWER_TOKENS = 64;

/** Lets the model continue each prompt, prints the texts and keeps them as `samples.txt`. */
export async function writeSamples(
  model: LanguageModel,
  { prompts, tokens, ...sampling }: PretrainSettings["sample"],
  dir: string,
): Promise<void> {
  if (tokens === 0) return;
  const texts: string[] = [];
  for (const prompt of prompts) {
    let text = prompt;
    for await (const token of model.generate(prompt, { ...sampling, maxTokens: tokens })) {
      text += token.text;
    }
    console.log(`\n${text}`);
    texts.push(text);
  }
  await keepSamples(dir, texts);
}

/** Asks the model each question in a chat of its own, prints the answers and keeps them likewise. */
export async function writeAnswers(
  model: LanguageModel,
  questions: readonly string[],
  dir: string,
): Promise<void> {
  const texts: string[] = [];
  for (const question of questions) {
    const chat = new Chat(model, { temperature: 0, maxTokens: ANSWER_TOKENS });
    const answer = (await Array.fromAsync(chat.say(question))).join("");
    texts.push(`问：${question}\n答：${answer}`);
    console.log(`\n${texts.at(-1)}`);
  }
  await keepSamples(dir, texts);
}

/** Between two texts, which may hold empty lines. */
const RULE = "\n\n----\n\n";

async function keepSamples(dir: string, texts: readonly string[]): Promise<void> {
  await WholeFile.write(join(dir, "samples.txt"), texts.join(RULE) + "\n");
}
