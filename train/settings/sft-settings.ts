import { fineTuningSchema } from "./fine-tuning-settings.ts";
import {
  choiceSetting,
  flagSetting,
  type Given,
  type Schema,
  type SettingsOf,
} from "./settings-schema.ts";
import { loadSettings, settingsHelp, settingsOver } from "./settings.ts";

/** Every setting of supervised fine-tuning; the values are in `sft.yaml`. */
export const sftSchema = {
  ...fineTuningSchema,
  data: {
    ...fineTuningSchema.data,
    exams: choiceSetting("what to learn from an exam question with a worked solution", [
      "reasoning",
      "answer",
      "both",
    ]),
    trainOnPrompt: flagSetting("compute the loss on prompts too, not on answers alone"),
    maskHistory: flagSetting("compute the loss on the last answer of a conversation only"),
    unseenAnswers: flagSetting(
      "train the first token of the last answer on the prompt alone, because a Soft MoE sees the " +
        "whole sequence; twice the work",
    ),
  },
} satisfies Schema;

/** All settings of supervised fine-tuning, by section and key. */
export type SftSettings = SettingsOf<typeof sftSchema>;

const defaults = new URL("../sft.yaml", import.meta.url);

/**
 * The settings of `sft.yaml`, but for those given.
 *
 * @throws UserError naming the setting, if it is unknown, mistyped or out of range
 */
export function sftSettings(given: Given<SftSettings>): Promise<SftSettings> {
  return settingsOver(sftSchema, defaults, given);
}

/** The same by command-line arguments and the files that they name: see `loadSettings`. */
export function loadSftSettings(argv: string[]): Promise<SftSettings> {
  return loadSettings(sftSchema, defaults, argv);
}

/** The options that `--help` lists. */
export function sftHelp(): Promise<string> {
  return settingsHelp(sftSchema, defaults);
}
