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

/** A hash of weights that every step of training changes: the last layer's queries. */
export async function fingerprint({ gpu, parameters, config }: LanguageModel): Promise<string> {
  const name = `model.layers.${config.layers.length - 1}.self_attn.q_proj.weight`;
  const hash = await crypto.subtle.digest("SHA-256", await parameters.read(gpu, name));
  return new Uint8Array(hash).toHex().slice(0, 16);
}
