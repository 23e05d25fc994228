import { createHash } from "node:crypto";
import { readBitSums } from "../kernels/layers/bit-sums.ts";
import { configToJson } from "../model/network/config.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import type { Answerer } from "./answerer.ts";

/**
 * A language model that answers evaluations. Its caller closes the model.
 *
 * @param name what the results are filed under: the checkpoint's folder
 * @param options `sharePrefix`: whether the common beginning of prompts is computed once, where
 *   that changes nothing
 */
export function modelAnswerer(
  model: LanguageModel,
  name: string,
  { sharePrefix = true } = {},
): Answerer {
  const { tokenizer } = model;
  return {
    name,
    encoder: tokenizer,
    contextLength: model.config.maxPositions,
    precision: model.parameters.mixed ? "mixed" : "f32",
    device: model.gpu.capabilities.name,
    fingerprint: () => fingerprint(model),
    tokensAtOnce: model.tokensAtOnce,
    textsAtOnce: model.textsAtOnce,
    sharesPrefixes: sharePrefix && model.sharesPrefixes,
    letterScores: (prompts, letterIds) =>
      model.choiceLogits(prompts, letterIds, { sharePrefix, batch: prompts.length }),
    generate: async (prompts, { maxNewTokens, ...sampling }, seed) => {
      const options = { ...sampling, maxTokens: maxNewTokens, seed, batch: prompts.length };
      const written = await model.generateMany(prompts, options);
      return written.map(({ ids }) => tokenizer.decode(ids, { skipSpecial: true }));
    },
  };
}

/**
 * A hash of all that a model's answers come from: its weights and those of its adapter, its
 * configuration, its tokenizer with the chat template, and which tokens end an answer.
 */
export async function fingerprint(model: LanguageModel): Promise<string> {
  const { gpu, parameters, config, tokenizer, stopIds, suppressIds } = model;
  const parts = [...parameters.parts, ...parameters.updateParts];
  const sums = await readBitSums(gpu, [...new Set(parts.map(({ tensor }) => tensor))]);
  const updates = [...parameters.adaptation?.modules ?? []];
  const described = [configToJson(config), updates, tokenizer.files(), stopIds, suppressIds];
  const hash = createHash("sha256").update(sums).update(JSON.stringify(described));
  return hash.digest("hex").slice(0, 16);
}
