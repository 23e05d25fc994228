import { join } from "node:path";
import { WholeFile } from "../../data/files/whole-file.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import {
  formatSample,
  formatSamples,
  type Sample,
  SAMPLES_FILE,
} from "../../model/host/samples-file.ts";
import type { PretrainSettings } from "../settings/pretrain-settings.ts";

/** The most tokens of an answer. */
const ANSWER_TOKENS = 64;

/**
 * Lets the model continue each prompt, and keeps the texts in the folder `dir` as `samples.txt`.
 *
 * @param dir the run's folder
 * @returns the texts, each with its prompt; none where the settings ask for no tokens
 */
export async function writeSamples(
  model: LanguageModel,
  { prompts, tokens, ...sampling }: PretrainSettings["sample"],
  dir: string,
): Promise<string[]> {
  if (tokens === 0) return [];
  const added = await model.generateMany(prompts, { ...sampling, maxTokens: tokens });
  return await keepSamples(dir, prompts.map((prompt, i) => ({ text: prompt + added[i].text })));
}

/** Asks the model each question in a new chat, and keeps questions and answers as `samples.txt`. */
export async function writeAnswers(
  model: LanguageModel,
  questions: readonly string[],
  dir: string,
): Promise<string[]> {
  const prompts = questions.map((content) =>
    model.tokenizer.encodeChat([{ role: "user", content }])
  );
  const answers = await model.generateMany(prompts, { temperature: 0, maxTokens: ANSWER_TOKENS });
  return await keepSamples(
    dir,
    questions.map((question, i) => ({ question, text: answers[i].text })),
  );
}

async function keepSamples(dir: string, samples: Sample[]): Promise<string[]> {
  await WholeFile.write(join(dir, SAMPLES_FILE), formatSamples(samples));
  return samples.map(formatSample);
}
