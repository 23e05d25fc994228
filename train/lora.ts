import { didYouMean } from "../kernels/runtime/did-you-mean.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import {
  ADAPTER_CONFIG_FILE,
  adapterConfigJson,
  isNamed,
  type LoraOptions,
} from "../model/checkpoint/adapter-config.ts";
import { type Adaptation, linearLayers, moduleOf } from "../model/network/adaptation.ts";
import type { ModelConfig } from "../model/network/config.ts";
import { parameterShapes } from "../model/network/parameter-shapes.ts";
import type { FineTuningSettings } from "./settings/fine-tuning-settings.ts";

/** Stands for every layer that can have an update. */
const ALL = "all-linear";

/** An adapter that is to be trained, and the files that describe it. */
export interface NewAdapter {
  readonly adaptation: Adaptation;
  readonly files: Readonly<Record<string, string>>;
}

/**
 * The adapter that the settings ask for; undefined if they ask for none.
 *
 * @param base folder of the model, as the adapter's file will name it
 * @throws UserError for a name that is no linear layer's
 */
export function newAdapter(
  config: ModelConfig,
  { rank, alpha: given, dropout, targets }: FineTuningSettings["lora"],
  base: string,
): NewAdapter | undefined {
  if (rank === 0) return undefined;
  const options: LoraOptions = { rank, alpha: given || 2 * rank, dropout };
  const all = [...linearLayers(config).keys()];
  const update = { rank, scale: options.alpha / rank };
  const names = targets.includes(ALL) ? namesOf(all) : targets;
  for (const name of names) requireLinear(name, config, all);
  const modules = all.filter((module) => names.some((name) => isNamed(module, name)));
  return {
    adaptation: { modules: new Map(modules.map((module) => [module, update])), dropout },
    files: { [ADAPTER_CONFIG_FILE]: adapterConfigJson(options, base, names) },
  };
}

function requireLinear(name: string, config: ModelConfig, all: readonly string[]): void {
  if (all.some((module) => isNamed(module, name))) return;
  const names = namesOf(all);
  const parameter = parameterShapes(config).map(({ name }) => name)
    .find((each) => isNamed(each, name) || isNamed(moduleOf(each), name));
  throw new UserError(
    parameter === undefined
      ? `lora.targets: this model has no layer "${name}"${
        didYouMean(name, [...names, ALL])
      } (those ` +
        `that can have an update are ${names.join(", ")})`
      : `lora.targets: "${name}" (${parameter}) is no linear layer that can have an update (those that ` +
        `can are ${names.join(", ")})`,
  );
}

/** The last parts of layers' names, each once. */
function namesOf(modules: readonly string[]): string[] {
  return [...new Set(modules.map((module) => module.slice(module.lastIndexOf(".") + 1)))];
}
