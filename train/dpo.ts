import { embeddedPreferences } from "../data/exam/embedded-instructions.ts";
import type { Preference } from "../data/instructions/conversation.ts";
import { encodePreference } from "../data/instructions/encode.ts";
import { ExampleStore } from "../data/instructions/example-store.ts";
import { countTokens, noTokens } from "../data/instructions/language-shares.ts";
import { readPreferences } from "../data/instructions/read-set.ts";
import type { Gpu } from "../kernels/runtime/device.ts";
import { readsReference } from "../kernels/loss/preference-loss.ts";
import { chatRenderer } from "../model/tokenizer/chat-template.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import { type Base, runFromBase } from "./run/base.ts";
import type { DpoSettings } from "./settings/dpo-settings.ts";
import { fineTune } from "./fine-tuning.ts";
import { type Examples, takeExamples } from "./batches/instructions.ts";
import { PreferenceObjective } from "./step/preference-objective.ts";
import { withReferences } from "./batches/reference-log-probs.ts";
import { accuracyCurve, logProbCurve, rewardCurve } from "./run/reward-curves.ts";
import { keepSettings } from "./settings/run-settings.ts";
import { sequenceOf } from "./batches/sequences.ts";

/**
 * Direct preference optimization: trains a model to prefer the better of two answers, or goes on
 * where the run's folder says that it was stopped.
 *
 * The reference is the model as it starts. What it makes of the answers is computed once, before
 * training, so that one model is in memory; for a loss without reference it is not.
 *
 * @returns the trained model, or undefined if the run was interrupted
 * @throws UserError for settings, sets or a folder that it cannot work with
 */
export async function optimizePreferences(
  settings: DpoSettings,
): Promise<LanguageModel | undefined> {
  // Refuses constants that do not go with the loss, before anything is written.
  new PreferenceObjective(settings.loss);
  return await runFromBase(settings, "deno task sft", optimizeOn);
}

async function optimizeOn(
  gpu: Gpu,
  settings: DpoSettings,
  base: Base,
): Promise<LanguageModel | undefined> {
  const { data, loss, run } = settings;
  const { checkpoint, tokenizer } = base;
  await keepSettings(run.dir, settings);
  // Pair p's chosen answer is example 2p, its rejected one example 2p + 1.
  const examples = new ExampleStore();
  const tokens = noTokens();
  const preferences: Examples<Preference> = {
    embedded: () => embeddedPreferences(data),
    read: (set, problems) => readPreferences(set, data, problems),
  };
  await takeExamples(data, preferences, (preference) => {
    const pair = encodePreference(preference, tokenizer, chatRenderer, data.cutoff);
    const { question, chosen, rejected } = preference;
    countTokens(tokens, `${question}\n${chosen}`, pair.chosen.ids.length);
    countTokens(tokens, `${question}\n${rejected}`, pair.rejected.ids.length);
    examples.add(pair.chosen);
    examples.add(pair.rejected);
  });
  const pairs = examples.length / 2;
  console.log(
    `The first pair:\nchosen: ${tokenizer.decode(examples.at(0).ids)}\n` +
      `rejected: ${tokenizer.decode(examples.at(1).ids)}`,
  );
  return await fineTune(gpu, {
    stage: "direct preference optimization",
    settings,
    base,
    objective: () => new PreferenceObjective(loss),
    items: {
      length: pairs,
      at: (pair) => [sequenceOf(examples.at(2 * pair)), sequenceOf(examples.at(2 * pair + 1))],
    },
    unit: "pairs",
    tokens,
    complete: readsReference(loss)
      ? (model, room, items) =>
        withReferences(items, { model, base: checkpoint.dir, room, dir: run.dir })
      : undefined,
    pictures: {
      "rewards.svg": rewardCurve,
      "accuracies.svg": accuracyCurve,
      "log-probabilities.svg": logProbCurve,
    },
  });
}
