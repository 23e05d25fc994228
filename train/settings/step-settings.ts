import { atLeastOne } from "../../model/number-range.ts";
import { FUSED_OPERATORS, type FusedOperator } from "../bench/unfused-model.ts";
import { loadSettings } from "./settings.ts";
import {
  choiceSetting,
  type Field,
  flagSetting,
  type Schema,
  type SettingsOf,
  textSetting,
  wholeNumberSetting,
} from "./settings-schema.ts";

/** Every setting of the steps that `bench:step` times; the values are in `train/bench/step.yaml`. */
export const stepSchema = {
  step: {
    model: choiceSetting("sizes of the model, whose weights are random", ["small", "steel-1b"]),
    unfused: operatorsSetting("operators that are made of elementary ones"),
    recompute: flagSetting("compute each layer's activations again in the backward pass"),
    precision: choiceSetting("number format", ["auto", "f32", "mixed"]),
    microBatch: wholeNumberSetting("sequences that are computed together", atLeastOne),
    sequence: wholeNumberSetting("tokens of a sequence", atLeastOne),
    accumulation: wholeNumberSetting("micro-batches of a step, on each GPU", atLeastOne),
    steps: wholeNumberSetting("steps that are timed, after a warm-up of four seconds", atLeastOne),
  },
  run: {
    dir: textSetting("folder of the result, speed.json"),
  },
} satisfies Schema;

/** The settings of the steps that are timed. */
export type StepSettings = SettingsOf<typeof stepSchema>;

/** The settings by command-line arguments and the files that they name: see `loadSettings`. */
export function loadStepSettings(argv: string[]): Promise<StepSettings> {
  return loadSettings(stepSchema, new URL("../bench/step.yaml", import.meta.url), argv);
}

/** A list of operators, which may be empty. */
function operatorsSetting(meaning: string): Field<readonly FusedOperator[]> {
  return {
    meaning: `${meaning} (${FUSED_OPERATORS.join(", ")}); may be repeated`,
    expected: `a list of ${FUSED_OPERATORS.join(", ")}`,
    accept(value) {
      const list: unknown[] = Array.isArray(value) ? value : [value];
      const isOperator = (item: unknown): item is FusedOperator =>
        FUSED_OPERATORS.some((one) => one === item);
      return list.every(isOperator) ? list : undefined;
    },
    parse: (argument) => argument,
    isList: true,
  };
}
