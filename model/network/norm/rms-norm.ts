import { rmsNorm } from "../../../kernels/layers/rms-norm.ts";
import type { ConfigReader } from "../config-reader.ts";
import { type Parameter, type SharedSizes, stacked } from "../layer.ts";
import type { Norm } from "./norm.ts";

/** RMSNorm with a weight (Zhang and Sennrich, arXiv 1910.07467), as Qwen2's config describes it. */
export function readRmsNorm(read: ConfigReader, { hiddenSize }: SharedSizes): Norm<"weight"> {
  const epsilon = read.positive("rms_norm_eps", 1e-6);
  const weight: Parameter = { name: "weight", shape: [hiddenSize], initial: { constant: 1 } };
  return {
    parameters: [weight],
    tensors: { weight: stacked([hiddenSize], weight) },
    json: { rms_norm_eps: epsilon },
    forward: (x, { weight }, dtype) => rmsNorm(x, weight, epsilon, dtype),
  };
}
