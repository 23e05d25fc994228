/** A model to measure speed with, without any that has been trained. */
import { type Implementation, openGpu } from "../../kernels/host/open-gpu.ts";
import { qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { isMixed, type Precision } from "../../model/network/precision.ts";
import { benchmarkModel, randomWeights } from "../../train/bench/benchmark-model.ts";

/** Standard deviation of the logits: a few tokens are far likelier than others, as when trained. */
const LOGIT_SPREAD = 6;

/** A model that reads Qwen's tokens, with the sizes of Steel-LLM or, on a software driver, small ones. */
export async function randomModel(
  device: { gpu: Implementation; precision: Precision },
): Promise<LanguageModel> {
  const gpu = await openGpu(device.gpu);
  const { config } = await benchmarkModel(gpu.capabilities.cpu);
  // Whatever its size, it reads Qwen's tokens.
  const { config: { vocabSize } } = await benchmarkModel(false);
  const parameters = new Parameters(
    { ...config, vocabSize },
    isMixed(device.precision, gpu.capabilities),
  );
  await parameters.load(gpu, (part) => {
    const weights = randomWeights(part);
    if (part.tensor !== parameters.norm.weight) return weights;
    // The head's weights are evenly spread over ± 1/30.
    return weights.fill(LOGIT_SPREAD * 30 * Math.sqrt(3 / config.hiddenSize));
  });
  console.log(
    `${parameters.count.toLocaleString("en")} parameters, ${
      parameters.mixed ? "mixed" : "f32"
    }, on ` +
      `${gpu.capabilities.name}, ${gpu.capabilities.implementation}`,
  );
  return new LanguageModel(gpu, parameters, { tokenizer: await qwenTokenizer(), ownsGpu: true });
}
