import { notNegative, positive } from "../../model/number-range.ts";
import { fineTuningSchema } from "./fine-tuning-settings.ts";
import {
  choiceSetting,
  flagSetting,
  type Given,
  numberSetting,
  type Schema,
  type SettingsOf,
} from "./settings-schema.ts";
import { loadSettings, settingsHelp, settingsOver } from "./settings.ts";

/** Every setting of preference optimization; the values are in `dpo.yaml`. */
export const dpoSchema = {
  ...fineTuningSchema,
  loss: {
    kind: choiceSetting("loss over pairs of answers", ["sigmoid", "hinge", "ipo", "orpo", "simpo"]),
    beta: numberSetting(
      "beta in the formula of the loss; with a reference model (sigmoid, hinge, ipo), a larger beta " +
        "keeps the model nearer to it",
      positive,
    ),
    labelSmoothing: numberSetting(
      "assumed probability that the two answers of a pair are swapped; sigmoid only",
      {
        least: 0,
        below: 0.5,
      },
    ),
    gamma: numberSetting("target for the difference of the two rewards; simpo only", notNegative),
    sftWeight: numberSetting(
      "weight of the SFT loss on chosen answers, added to the loss; 0 is off",
      notNegative,
    ),
    ipoMeans: flagSetting("take the mean log-probability per token, not the sum; ipo only"),
  },
} satisfies Schema;

/** All settings of preference optimization, by section and key. */
export type DpoSettings = SettingsOf<typeof dpoSchema>;

const defaults = new URL("../dpo.yaml", import.meta.url);

/**
 * The settings of `dpo.yaml`, but for those given.
 *
 * @throws UserError naming the setting, if it is unknown, mistyped or out of range
 */
export function dpoSettings(given: Given<DpoSettings>): Promise<DpoSettings> {
  return settingsOver(dpoSchema, defaults, given);
}

/** The same by command-line arguments and the files that they name: see `loadSettings`. */
export function loadDpoSettings(argv: string[]): Promise<DpoSettings> {
  return loadSettings(dpoSchema, defaults, argv);
}

/** The options that `--help` lists. */
export function dpoHelp(): Promise<string> {
  return settingsHelp(dpoSchema, defaults);
}
