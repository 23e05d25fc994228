import { Random } from "../../data/random.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import type { Parameter } from "./layer.ts";

/**
 * The values of a parameter at the start of training, row-major.
 *
 * @param index the parameter's place in the published order: each draws from a stream of its own
 */
export function initialValues(
  { shape, initial }: Pick<Parameter, "shape" | "initial">,
  seed: number,
  index: number,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(sizeOf(shape));
  if ("constant" in initial) return values.fill(initial.constant);
  const random = new Random(seed, index);
  if ("deviation" in initial) random.fillNormal(values, initial.deviation);
  else {for (let i = 0; i < values.length; i++) {
      values[i] = initial.bound * (2 * random.uniform() - 1);
    }}
  return values;
}

/** A parameter whose first values a thread is to make. */
export interface InitialJob extends Pick<Parameter, "shape" | "initial"> {
  /** Its place in the published order. */
  readonly index: number;
}

/** What a thread does. */
export function initialWork(seed: number): (job: InitialJob) => Float32Array<ArrayBuffer> {
  return ({ index, ...parameter }) => initialValues(parameter, seed, index);
}
