import { Random } from "../../data/random.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import type { ModelConfig } from "../../model/network/config.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";

/**
 * Writes a model with random weights, the same for a seed.
 *
 * @param files of the tokenizer and others, by name
 * @param spread standard deviation of the weights
 */
export async function writeRandomCheckpoint(
  dir: string,
  config: ModelConfig,
  files: Record<string, string>,
  { seed, spread }: { seed: number; spread: number },
): Promise<void> {
  const shapes = parameterShapes(config);
  await writeCheckpoint(dir, {
    config,
    dtype: "F32",
    tensors: (name) => {
      const stream = shapes.findIndex((shape) => shape.name === name);
      const values = new Float32Array(sizeOf(shapes[stream].shape));
      return new Random(seed, stream).fillNormal(values, spread);
    },
    files,
  });
}
