import { IGNORED_LABEL } from "../../data/instructions/encode.ts";
import { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { requireFinite } from "../finite.ts";
import type { Parameters } from "../network/parameters.ts";
import { Decoder } from "./decoder.ts";

/**
 * Log-probabilities of labels as generation computes them: a sequence's first token is its prompt, and
 * each later one passes the network alone, with what the cache holds of those before it.
 *
 * @param inputIds sequences of token ids, all at once in the cache
 * @param labels as long as they; -100 is ignored
 * @returns [batch][sequence]: ln p, 0 where ignored
 */
export async function decodedLogProbs(
  gpu: Gpu,
  parameters: Parameters,
  inputIds: readonly (readonly number[])[],
  labels: readonly (readonly number[])[],
): Promise<number[][]> {
  const longest = Math.max(...inputIds.map(({ length }) => length));
  const rows = inputIds.map((_, seat) => ({ seat, sampling: {}, random: new Random(0) }));
  const logProbs = inputIds.map((): number[] => []);
  const decoder = await Decoder.plan(gpu, parameters, inputIds.length, longest);
  try {
    await decoder.prefill(rows, inputIds.map((ids) => ids.slice(0, 1)));
    for (let place = 0; place < longest; place++) {
      const going = rows.filter(({ seat }) => place < inputIds[seat].length);
      if (place > 0) await decoder.step(going, going.map(({ seat }) => inputIds[seat][place]));
      const logits = await decoder.logits(going.length);
      for (const [row, { seat }] of going.entries()) {
        requireFinite(logits[row]);
        const label = labels[seat][place];
        logProbs[seat].push(label === IGNORED_LABEL ? 0 : logProbOf(logits[row], label));
      }
    }
  } finally {
    decoder.destroy();
  }
  return logProbs;
}

function logProbOf(logits: Float32Array, label: number): number {
  let highest = -Infinity;
  for (const logit of logits) highest = Math.max(highest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  return logits[label] - highest - Math.log(sum);
}
