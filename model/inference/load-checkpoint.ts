import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Adapter } from "../checkpoint/adapter.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { readGenerationConfig } from "../checkpoint/generation-config.ts";
import { Parameters } from "../network/parameters.ts";
import { isMixed, type Precision } from "../network/precision.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { LanguageModel } from "./language-model.ts";

/**
 * Puts a checkpoint on a GPU, on any host: from `Checkpoint.read` to a generated token, the code
 * asks nothing of its surroundings but the checkpoint's files and this GPU. Neither is closed.
 *
 * @param options.adapter changes the model, and has its tokenizer if it holds one
 * @param options.precision `auto` is mixed on a GPU with f16, and f32 elsewhere
 * @param options.ownsGpu whether closing the model closes the GPU
 * @throws UserError naming the file that is wrong, or if there is too little memory
 */
export async function loadCheckpoint(
  checkpoint: Checkpoint,
  gpu: Gpu,
  { adapter, precision = "auto", ownsGpu }: {
    adapter?: Adapter;
    precision?: Precision;
    ownsGpu?: boolean;
  } = {},
): Promise<LanguageModel> {
  const tokenizer = await modelTokenizer({ checkpoint, adapter });
  const generation = await readGenerationConfig(checkpoint.files);
  const { config } = checkpoint;
  const mixed = isMixed(precision, gpu.capabilities);
  const parameters = new Parameters(config, mixed, adapter?.adaptationOf(config));
  try {
    await parameters.load(gpu, ({ name }) => checkpoint.readFloat32(name));
    if (adapter) await parameters.loadUpdates(gpu, ({ name }) => adapter.readFloat32(name));
  } catch (error) {
    parameters.destroy(); // others may share the GPU
    throw error;
  }
  return new LanguageModel(gpu, parameters, { tokenizer, generation, ownsGpu });
}

/** The tokenizer of a model: that of its adapter, if the adapter's folder holds one. */
export async function modelTokenizer(
  { checkpoint, adapter }: { checkpoint: Checkpoint; adapter?: Adapter },
): Promise<Tokenizer | undefined> {
  return adapter && await Tokenizer.read(adapter.files) || await Tokenizer.read(checkpoint.files);
}
