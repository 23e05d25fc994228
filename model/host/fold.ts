import type { Adapter } from "../checkpoint/adapter.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { linearLayers, moduleOf, updateParameters } from "../network/adaptation.ts";

/** Gives the values of a published parameter, row-major. */
export type ReadParameter = (name: string) => Promise<Float32Array<ArrayBuffer>>;

/**
 * The parameters of a checkpoint with the updates of an adapter added: W + scale · B · A, one weight
 * at a time, on the host.
 *
 * @throws UserError for an adapter of another model
 */
export function folded(checkpoint: Checkpoint, adapter: Adapter): ReadParameter {
  const layers = linearLayers(checkpoint.config);
  const { modules } = adapter.adaptationOf(checkpoint.config);
  return async (name) => {
    const values = await checkpoint.readFloat32(name);
    const module = moduleOf(name);
    const [layer, update] = [layers.get(module), modules.get(module)];
    if (!layer || !update || name !== `${module}.weight`) return values;
    const [down, up] = await Promise.all(
      updateParameters(module, layer, update).map(({ name }) => adapter.readFloat32(name)),
    );
    addProduct(values, up, down, update.rank, update.scale);
    return values;
  };
}

/** weight [outputs, inputs] += scale · up [outputs, rank] · down [rank, inputs]. */
function addProduct(
  weight: Float32Array,
  up: Float32Array,
  down: Float32Array,
  rank: number,
  scale: number,
): void {
  const inputs = down.length / rank;
  const sums = new Float64Array(inputs);
  for (let row = 0; row * inputs < weight.length; row++) {
    sums.fill(0);
    for (let term = 0; term < rank; term++) {
      const factor = up[row * rank + term];
      const first = term * inputs;
      for (let column = 0; column < inputs; column++) sums[column] += factor * down[first + column];
    }
    const first = row * inputs;
    for (let column = 0; column < inputs; column++) weight[first + column] += scale * sums[column];
  }
}
