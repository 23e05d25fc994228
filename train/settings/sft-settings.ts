import { fineTuningSchema } from "./fine-tuning-settings.ts";
import { flag, oneOf, type Schema, type SettingsOf } from "./settings-schema.ts";
import { loadSettings, settingsHelp } from "./settings.ts";

/** Every setting of supervised fine-tuning; the values are in `sft.yaml`. */
const sftSchema = {
  ...fineTuningSchema,
  data: {
    ...fineTuningSchema.data,
    exams: oneOf("how exam questions with a worked solution are put", [
      "reasoning",
      "answer",
      "both",
    ]),
    trainOnPrompt: flag("learn the prompts too"),
    maskHistory: flag("learn the last answer of a conversation only"),
    unseenAnswers: flag("learn an answer's first token from the prompt alone"),
  },
} satisfies Schema;

export type SftSettings = SettingsOf<typeof sftSchema>;

const defaults = new URL("../sft.yaml", import.meta.url);

/** The settings of a fine-tuning run: see {@linkcode loadSettings}. */
export function loadSftSettings(argv: string[]): Promise<SftSettings> {
  return loadSettings(sftSchema, defaults, argv);
}

/** What `--help` lists. */
export function sftHelp(): Promise<string> {
  return settingsHelp(sftSchema, defaults);
}
