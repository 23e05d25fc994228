import type { Gpu } from "../../kernels/runtime/device.ts";
import { uploadBatch } from "../../model/network/batch.ts";
import { planForward } from "../../model/inference/forward-pass.ts";
import type { Parameters } from "../../model/network/parameters.ts";

/** Milliseconds of passes before the measurement: an idle GPU runs at a lower clock for a while. */
const WARM_UP = 2000;

/**
 * Times the forward pass without the head on random tokens: the upper limit for reading prompts and
 * scoring letters.
 *
 * @param parameters loaded
 * @param passes how many to time
 * @returns tokens a second of the median pass
 */
export async function benchmarkForward(
  gpu: Gpu,
  parameters: Parameters,
  { microBatch, sequence }: { microBatch: number; sequence: number },
  passes: number,
): Promise<number> {
  const { batch, plan } = await planForward(gpu, parameters, microBatch * sequence, microBatch);
  const { vocabSize } = parameters.config;
  const token = () => Math.floor(Math.random() * vocabSize);
  const sequences = Array.from(
    { length: microBatch },
    () => Uint32Array.from({ length: sequence }, token),
  );
  uploadBatch(gpu, batch, sequences);
  const milliseconds: number[] = [];
  const started = performance.now();
  while (milliseconds.length < passes) {
    const began = performance.now();
    plan.run();
    await gpu.device.queue.onSubmittedWorkDone();
    if (began - started > WARM_UP) milliseconds.push(performance.now() - began);
  }
  plan.destroy();
  const median = milliseconds.sort((a, b) => a - b)[passes >> 1];
  return 1000 * microBatch * sequence / median;
}
