import { embeddedPreferences } from "../data/exam/embedded-instructions.ts";
import { encodePreference } from "../data/instructions/encode.ts";
import { readPreferences } from "../data/instructions/read-set.ts";
import { chatRenderer } from "../model/chat-template.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import type { DpoSettings } from "./dpo-settings.ts";
import type { Item } from "./example-batches.ts";
import { checkpointOf, fineTune } from "./fine-tuning.ts";
import { encodeAll, readSets } from "./instructions.ts";
import { PreferenceObjective } from "./preference-objective.ts";
import { withReferences } from "./reference-log-probs.ts";
import { accuracyCurve, logProbCurve, rewardCurve } from "./reward-curves.ts";
import { keepSettings } from "./run-settings.ts";
import { sequenceOf } from "./sequences.ts";

/**
 * Direct preference optimization: trains a model to prefer the better of two answers, or goes on
 * where the run's folder says that it was stopped.
 *
 * The reference is the model as it starts. What it makes of the answers is computed once, before
 * training, so that one model is in memory.
 *
 * @returns the trained model, or undefined if the run was interrupted
 * @throws UserError for settings, sets or a folder that it cannot work with
 */
export async function optimizePreferences(
  settings: DpoSettings,
): Promise<LanguageModel | undefined> {
  const { data, run } = settings;
  const loss = { ...settings.loss, ipoMeans: settings.loss.ipoMeans === "yes" };
  const objective = () => new PreferenceObjective(loss);
  objective(); // refuses constants that do not go with the loss, before anything is written
  const base = await checkpointOf(settings.model.path, "deno task sft");
  await keepSettings(run.dir, settings);
  const tokenizer = await Tokenizer.fromFolder(base);
  const preferences = await readSets(data, embeddedPreferences, readPreferences);
  const pairs = encodeAll(
    preferences,
    (preference) => encodePreference(preference, tokenizer, chatRenderer, data.cutoff),
  );
  const { chosen, rejected } = pairs[0].encoded;
  console.log(
    `${pairs.length.toLocaleString("en")} pairs. The first:\n` +
      `chosen: ${tokenizer.decode(chosen.ids)}\nrejected: ${tokenizer.decode(rejected.ids)}`,
  );
  return await fineTune({
    stage: "direct preference optimization",
    settings,
    base,
    tokenizer,
    objective,
    items: pairs.map(({ encoded }): Item => [
      sequenceOf(encoded.chosen),
      sequenceOf(encoded.rejected),
    ]),
    complete: (model, room, items) => withReferences(items, { model, base, room, dir: run.dir }),
    pictures: {
      "rewards.svg": rewardCurve,
      "accuracies.svg": accuracyCurve,
      "log-probabilities.svg": logProbCurve,
    },
  });
}
