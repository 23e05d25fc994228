import { embeddedPreferences } from "../data/exam/embedded-instructions.ts";
import type { Preference } from "../data/instructions/conversation.ts";
import { encodePreference } from "../data/instructions/encode.ts";
import { ExampleStore } from "../data/instructions/example-store.ts";
import { countTokens, noTokens } from "../data/instructions/language-shares.ts";
import { readPreferences } from "../data/instructions/read-set.ts";
import { readsReference } from "../kernels/loss/preference-loss.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import { takeExamples } from "./batches/instructions.ts";
import { withReferences } from "./batches/reference-log-probs.ts";
import { sequenceOf } from "./batches/sequences.ts";
import { type Examples, fineTune } from "./fine-tuning.ts";
import type { Base } from "./checkpoint/base.ts";
import { accuracyCurve, logProbCurve, rewardCurve } from "./run/reward-curves.ts";
import type { RunOptions } from "./run/run-options.ts";
import { type DpoSettings, dpoSettings } from "./settings/dpo-settings.ts";
import type { Given } from "./settings/settings-schema.ts";
import { PreferenceObjective } from "./step/preference-objective.ts";

/**
 * Direct preference optimization: trains a model to prefer the better of two answers, or goes on
 * where the run's folder says that it was stopped.
 *
 * The reference is the model as it starts. Its log-probabilities of the answers are computed once,
 * before training, so that only one model is in memory; a loss without reference needs none.
 *
 * @param given settings; those left out are as in `dpo.yaml`
 * @returns the trained model, or undefined if the run was stopped
 * @throws UserError for settings, datasets or a folder that it cannot work with
 */
export async function optimizePreferences(
  given: Given<DpoSettings>,
  options: RunOptions = {},
): Promise<LanguageModel | undefined> {
  const settings = await dpoSettings(given);
  const { data, loss, run: { dir } } = settings;
  // Refuses constants that do not go with the loss, before anything is written.
  new PreferenceObjective(loss);
  return await fineTune(settings, {
    name: "direct preference optimization",
    baseCommand: "deno task sft",
    unit: "pairs",
    inWords: preferencesInWords,
    objective: () => new PreferenceObjective(loss),
    loss,
    read: (base, say) => readPairs(data, base, say),
    complete: readsReference(loss)
      ? (items, model, base, room, options) =>
        withReferences(items, { model, base, room, dir }, options)
      : undefined,
    pictures: {
      "rewards.svg": rewardCurve,
      "accuracies.svg": accuracyCurve,
      "log-probabilities.svg": logProbCurve,
    },
  }, options);
}

/** How a model ranks pairs of answers. Rewards are in the loss's units: beta times a log-ratio. */
export function preferencesInWords(measures: Record<string, number>): string {
  const { accuracy, margin, chosenReward, rejectedReward, loss } = measures;
  return `the model prefers the chosen answer in ${
    (100 * accuracy).toFixed(1)
  } %; the mean reward ` +
    `of chosen answers is ${chosenReward.toFixed(4)}, of rejected ones ` +
    `${rejectedReward.toFixed(4)}, a margin of ${margin.toFixed(4)}; the loss is ${
      loss.toFixed(4)
    }`;
}

async function readPairs(
  data: DpoSettings["data"],
  { tokenizer }: Base,
  say: (text: string) => void,
): Promise<Examples> {
  // Pair p's chosen answer is example 2p, its rejected one example 2p + 1.
  const examples = new ExampleStore();
  const tokens = noTokens();
  await takeExamples<Preference>(
    data,
    {
      embedded: { embedded: () => embeddedPreferences(data) },
      read: (set, problems) => readPreferences(set, data, problems),
    },
    (preference) => {
      const pair = encodePreference(preference, tokenizer, data.cutoff);
      const { question, chosen, rejected } = preference;
      countTokens(tokens, `${question}\n${chosen}`, pair.chosen.ids.length);
      countTokens(tokens, `${question}\n${rejected}`, pair.rejected.ids.length);
      examples.add(pair.chosen);
      examples.add(pair.rejected);
    },
    say,
  );
  say(
    `The first pair:\nchosen: ${tokenizer.decode(examples.at(0).ids)}\n` +
      `rejected: ${tokenizer.decode(examples.at(1).ids)}`,
  );
  return {
    items: {
      length: examples.length / 2,
      at: (pair) => [sequenceOf(examples.at(2 * pair)), sequenceOf(examples.at(2 * pair + 1))],
    },
    tokens,
  };
}
