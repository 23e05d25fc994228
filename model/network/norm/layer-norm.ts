import { layerNorm } from "../../../kernels/layers/layer-norm.ts";
import { bias, type Parameter, type SharedSizes, stacked } from "../layer.ts";
import type { Norm } from "./norm.ts";

/** LayerNorm with a weight and a bias (Ba et al., arXiv 1607.06450). */
export function affineLayerNorm(
  { hiddenSize }: SharedSizes,
  epsilon: number,
): Norm<"weight" | "bias"> {
  const shape = [hiddenSize];
  const weight: Parameter = { name: "weight", shape, initial: { constant: 1 } };
  const shift = bias("bias", hiddenSize);
  return {
    parameters: [weight, shift],
    tensors: { weight: stacked(shape, weight), bias: stacked(shape, shift) },
    forward: (x, weights, dtype) => layerNorm(x, epsilon, weights, dtype),
  };
}

/** LayerNorm without parameters, as OLMo has it (Groeneveld et al., arXiv 2402.00838). */
export function plainLayerNorm(epsilon: number): Norm<never> {
  return {
    parameters: [],
    tensors: {},
    forward: (x, _, dtype) => layerNorm(x, epsilon, undefined, dtype),
  };
}
