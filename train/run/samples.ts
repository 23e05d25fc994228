import { join } from "node:path";
import { WholeFile } from "../../data/files/whole-file.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { renderChat } from "../../model/tokenizer/chat-template.ts";
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
  const added = await model.generateMany(prompts, { ...sampling, maxTokens: tokens });
  await keepSamples(dir, prompts.map((prompt, i) => prompt + added[i].text));
}

/** Asks the model each question in a chat of its own, prints the answers and keeps them likewise. */
export async function writeAnswers(
  model: LanguageModel,
  questions: readonly string[],
  dir: string,
): Promise<void> {
  const prompts = questions.map((content) =>
    renderChat([{ role: "user", content }], { addGenerationPrompt: true })
  );
  const answers = await model.generateMany(prompts, { temperature: 0, maxTokens: ANSWER_TOKENS });
  await keepSamples(dir, questions.map((question, i) => `问：${question}\n答：${answers[i].text}`));
}

/** Between two texts, which may hold empty lines. */
const RULE = "\n\n----\n\n";

async function keepSamples(dir: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) console.log(`\n${text}`);
  await WholeFile.write(join(dir, "samples.txt"), texts.join(RULE) + "\n");
}
