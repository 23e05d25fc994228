/** A language model on a GPU, asked as evaluations ask. */

import { Random } from "../data/random.ts";
import { Decoder } from "../model/inference/decoder.ts";
import type { LanguageModel } from "../model/inference/language-model.ts";
import { roomForTokens } from "../model/inference/plan-sizes.ts";
import type { Answerer } from "./answerer.ts";
import type { Decoding } from "./protocols/protocol.ts";

/** Tokens of prompts at a time: enough to keep a GPU busy; on a CPU, more gain nothing. */
const TOKENS_AT_ONCE = { gpu: 16384, cpu: 4096 };
/** Texts at a time: a step costs hardly more than that of one. */
const TEXTS_AT_ONCE = 32;

/**
 * @param name what the results are filed under: the checkpoint's folder
 * @param options `sharePrefix`: read what prompts begin with once, where that changes nothing
 */
export function modelAnswerer(
  model: LanguageModel,
  name: string,
  { sharePrefix = true } = {},
): Answerer {
  let writing: Promise<unknown> = Promise.resolve();
  return {
    name,
    encoder: model.tokenizer,
    contextLength: model.config.maxPositions,
    precision: model.parameters.mixed ? "mixed" : "f32",
    fingerprint: () => fingerprint(model),
    tokensAtOnce: TOKENS_AT_ONCE[model.gpu.capabilities.cpu ? "cpu" : "gpu"],
    textsAtOnce: Math.min(TEXTS_AT_ONCE, textsWithRoom(model)),
    sharesPrefixes: sharePrefix && model.sharesPrefixes,
    letterScores: (prompts, letterIds) => model.choiceLogits(prompts, letterIds, { sharePrefix }),
    generate: (prompts, decoding, seeds) => {
      // One call after the other: each takes memory for its keys and values.
      const written = writing.then(() => generateTogether(model, prompts, decoding, seeds));
      writing = written.catch(() => {});
      return written;
    },
  };
}

/** Of how many texts, at their longest, a layer's keys and values can be bound. At least one. */
function textsWithRoom({ config, gpu }: LanguageModel): number {
  const widths = config.layers.map(({ attention }) =>
    2 * attention.keyValueHeads * attention.headDim
  );
  const bytes = 4 * roomForTokens(config.maxPositions) * Math.max(...widths);
  return Math.max(1, Math.floor(gpu.capabilities.maxBindingBytes / bytes));
}

/** A hash of weights that every step of training changes: the last layer's queries. */
async function fingerprint({ gpu, parameters, config }: LanguageModel): Promise<string> {
  const name = `model.layers.${config.layers.length - 1}.self_attn.q_proj.weight`;
  const hash = await crypto.subtle.digest("SHA-256", await parameters.read(gpu, name));
  return new Uint8Array(hash).toHex().slice(0, 16);
}

/** Continues all prompts a token a step until the last of them has ended. */
async function generateTogether(
  { gpu, parameters, config, tokenizer, stopIds, suppressIds }: LanguageModel,
  prompts: number[][],
  decoding: Decoding,
  seeds: number[],
): Promise<string[]> {
  const stop = new Set(stopIds);
  const texts = prompts.map((prompt) => ({
    ids: [...prompt],
    most: Math.min(prompt.length + decoding.maxNewTokens, config.maxPositions),
    ended: false,
  }));
  // Room for every text to go along until the last has ended.
  const capacity = Math.max(...prompts.map(({ length }) => length)) + decoding.maxNewTokens;
  const decoder = await Decoder.plan(
    gpu,
    parameters,
    prompts.length,
    roomForTokens(capacity),
    { ...decoding, suppressIds },
  );
  const randoms = seeds.map((seed) => new Random(seed));
  try {
    for await (const ids of decoder.generate(prompts, randoms, decoding.maxNewTokens)) {
      for (const [i, text] of texts.entries()) {
        // A text that has ended goes along until the others have; nobody sees what it adds.
        if (text.ended) continue;
        if (!stop.has(ids[i])) text.ids.push(ids[i]);
        text.ended = stop.has(ids[i]) || text.ids.length === text.most;
      }
      if (texts.every(({ ended }) => ended)) break;
    }
  } finally {
    decoder.destroy();
  }
  return texts.map(({ ids }, i) =>
    tokenizer.decode(ids.slice(prompts[i].length), { skipSpecial: true })
  );
}
