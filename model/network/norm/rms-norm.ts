import { rmsNorm } from "../../../kernels/layers/rms-norm.ts";
import type { ConfigReader } from "../config-reader.ts";
import { type Parameter, type SharedSizes, stacked } from "../layer.ts";
import type { Norm } from "./norm.ts";

/**
 * RMSNorm with a weight (Zhang and Sennrich, arXiv 1910.07467).
 *
 * @param options.offset 1 where the weight is stored less 1, as in Gemma
 */
export function readRmsNorm(
  read: ConfigReader,
  { hiddenSize }: SharedSizes,
  { offset = 0 } = {},
): Norm<"weight"> {
  const epsilon = readEpsilon(read);
  const weight: Parameter = {
    name: "weight",
    shape: [hiddenSize],
    initial: { constant: 1 - offset },
  };
  return {
    parameters: [weight],
    tensors: { weight: stacked([hiddenSize], weight) },
    forward: (x, { weight }, dtype) => rmsNorm(x, weight, epsilon, dtype, offset),
    columns: ({ weight }) => offset === 0 ? weight : undefined,
  };
}

/** What RMSNorm adds to the mean square. */
export function readEpsilon(read: ConfigReader): number {
  return read.positive("rms_norm_eps", 1e-6);
}
