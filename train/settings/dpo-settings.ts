import { notNegative, positive } from "../../model/number-range.ts";
import { fineTuningSchema } from "./fine-tuning-settings.ts";
import { flag, number, oneOf, type Schema, type SettingsOf } from "./settings-schema.ts";
import { loadSettings, settingsHelp } from "./settings.ts";

/** Every setting of preference optimization; the values are in `dpo.yaml`. */
const dpoSchema = {
  ...fineTuningSchema,
  loss: {
    kind: oneOf("loss over pairs of answers", ["sigmoid", "hinge", "ipo", "orpo", "simpo"]),
    beta: number("how strongly the reference holds", positive),
    labelSmoothing: number("how unsure the preferences are; sigmoid only", {
      least: 0,
      below: 0.5,
    }),
    gamma: number("by how much a reward is to be larger; simpo only", notNegative),
    sftWeight: number("weight of the chosen answers' own loss", notNegative),
    ipoMeans: flag("ipo: mean log-probabilities of the tokens, not sums"),
  },
} satisfies Schema;

export type DpoSettings = SettingsOf<typeof dpoSchema>;

const defaults = new URL("../dpo.yaml", import.meta.url);

/** The settings of a run of DPO: see {@linkcode loadSettings}. */
export function loadDpoSettings(argv: string[]): Promise<DpoSettings> {
  return loadSettings(dpoSchema, defaults, argv);
}

/** What `--help` lists. */
export function dpoHelp(): Promise<string> {
  return settingsHelp(dpoSchema, defaults);
}
