import type { Gpu } from "../../kernels/runtime/device.ts";
import { parseConfig } from "../../model/network/config.ts";
import { LanguageModel } from "../../model/inference/language-model.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { openTestGpu } from "../open-gpu.ts";
import { openSafetensors } from "../../model/host/open-checkpoint.ts";

/** The small models whose weights are kept in `tests/golden`. */
export type GoldenName = "steel-tiny" | "steel-gqa" | "dense-swiglu";

/**
 * Initial weights make next to nothing of the unit vectors that a Soft MoE's experts read. These are
 * as large as training may make them, so that what goes through the experts shows.
 */
const EXPERT_SCALE = 16;

/** The device that all tests of a file share. */
export const gpu: Gpu = await openTestGpu();

/**
 * A small model on the GPU with stronger experts, its weights by name, and tokens to give it.
 *
 * @param changes keys of its `config.json` that are to be others
 */
export async function goldenModel(name: GoldenName, changes: Record<string, unknown> = {}) {
  const path = new URL(`../golden/${name}`, import.meta.url).pathname;
  const golden = JSON.parse(await Deno.readTextFile(`${path}.json`));
  const inputIds: number[][] = golden.input_ids;
  const config = parseConfig({ ...golden.config, ...changes }, `${path}.json`);
  const file = await openSafetensors(`${path}-weights.safetensors`);
  const weights = new Map<string, Float32Array<ArrayBuffer>>();
  for (const tensor of file.tensors.keys()) {
    const scale = tensor.includes(".mlp.experts.") ? EXPERT_SCALE : 1;
    weights.set(tensor, (await file.readFloat32(tensor)).map((value) => value * scale));
  }
  file.close();
  const parameters = new Parameters(config);
  await parameters.load(gpu, ({ name }) => weights.get(name)!);
  const model = new LanguageModel(gpu, parameters);
  return { model, parameters, config, inputIds, weights: (name: string) => weights.get(name)! };
}
