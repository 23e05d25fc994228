import type { Gpu } from "../kernels/runtime/device.ts";
import { download } from "../kernels/runtime/transfer.ts";
import type { Parameters } from "../model/network/parameters.ts";

/** Every gradient, one behind the other. */
export async function gradients(gpu: Gpu, parameters: Parameters): Promise<number[]> {
  const all: number[] = [];
  for (const { gradient } of parameters.tensors) {
    for (const value of await download(gpu, gradient!)) all.push(value);
  }
  return all;
}

/** Of the angle between two gradients: how far mixed precision may turn one. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
    return sum;
  };
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
