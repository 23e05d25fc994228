import { strToU8, zipSync } from "fflate";
import { configFiles } from "../../model/checkpoint/config-files.ts";
import { SafetensorsEncoder } from "../../model/checkpoint/safetensors-encoder.ts";
import { SINGLE_FILE } from "../../model/checkpoint/weight-files.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import type { TabRun } from "./train-in-tab.ts";

/**
 * A trained model as a zip in Hugging Face's layout, with its weights in f32.
 *
 * @param folder the name of the folder in it
 * @param others further files, by name
 */
export async function checkpointZip(
  { model, files }: TabRun,
  folder: string,
  others: Readonly<Record<string, string>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const texts = { ...configFiles(model.config, "F32"), ...files, ...others };
  return zipSync({
    [folder]: {
      // Weights hardly become smaller.
      [SINGLE_FILE]: [await weightsOf(model), { level: 0 }],
      ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, strToU8(text)])),
    },
  });
}

async function weightsOf({ gpu, config, parameters }: TabRun["model"]): Promise<Uint8Array> {
  const entries = parameterShapes(config).map((each) => ({ ...each, dtype: "F32" as const }));
  const encoder = new SafetensorsEncoder(entries);
  const bytes = new Uint8Array(encoder.size);
  let filled = 0;
  for await (const chunk of encoder.bytes((name) => parameters.read(gpu, name))) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}
