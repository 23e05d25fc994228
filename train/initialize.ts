import { Random } from "../data/random.ts";
import { sizeOf } from "../kernels/runtime/storage.ts";
import type { Part } from "../model/network/parameters.ts";

/** Standard deviation of linear and embedding weights. */
const WEIGHT_DEVIATION = 0.02;

/**
 * Initial numbers of a parameter: zeros for biases, ones for norms and the router's scale, normal
 * 1/√hidden for phi, normal 0.02 for every other weight.
 *
 * @param index the parameter's place in the model: each draws from a stream of its own
 */
export function initialValues(
  { name, shape }: Part,
  seed: number,
  index: number,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(sizeOf(shape));
  if (name.endsWith(".bias")) return values;
  if (name.endsWith("norm.weight") || name.endsWith(".scale")) return values.fill(1);
  const deviation = name.endsWith(".phi") ? 1 / Math.sqrt(shape[0]) : WEIGHT_DEVIATION;
  new Random(seed, index).fillNormal(values, deviation);
  return values;
}
