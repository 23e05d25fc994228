import type { FileSum } from "../../data/files/checksum.ts";
import type { Trained } from "../../kernels/optimizer/adamw.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { SafetensorsFile } from "../../model/checkpoint/safetensors.ts";
import type { TensorValues } from "../../model/checkpoint/safetensors-encoder.ts";
import type { Part } from "../../model/network/parameters.ts";
import { writeSafetensors } from "../../model/host/write-safetensors.ts";

/** AdamW's two moments, as files name them. */
const MOMENTS = ["mean", "square"] as const;

/** Parameters whose moments are in one tensor of a file, one after another. */
type Stack = readonly Part[];

/** Every moment of every part, in the order of a file, with its name there. */
export function momentsOf(parts: readonly Part[]) {
  return parts.flatMap((part) =>
    MOMENTS.map((moment) => ({ name: `${moment}.${part.name}`, part, moment }))
  );
}

/**
 * Writes AdamW's moments: `mean.NAME` and `square.NAME` for every published parameter, f32, in its
 * published shape. The file does not depend on which parameters share a tensor on the GPU.
 *
 * @param parts every published parameter
 * @param values gives their moments
 * @returns the file's sum
 */
export async function writeOptimizerState(
  path: string,
  parts: readonly Part[],
  values: TensorValues,
): Promise<FileSum> {
  return await writeSafetensors(
    path,
    momentsOf(parts).map(({ name, part }) => ({ name, shape: [...part.shape], dtype: "F32" })),
    values,
  );
}

/**
 * Reads AdamW's moments back.
 *
 * @param trained the moments of whole tensors, or of pieces of them
 * @param isStacked the file has the first format, in which one tensor holds the moments of several
 *   parameters
 * @throws UserError for a file that is damaged or of another model
 */
export async function readOptimizerState(
  file: SafetensorsFile,
  gpu: Gpu,
  parts: readonly Part[],
  trained: readonly Trained[],
  isStacked: boolean,
): Promise<void> {
  await allocate(gpu, trained.flatMap(({ mean, square }) => [mean.storage, square.storage]));
  for (const stack of isStacked ? stacksOf(parts) : parts.map((part) => [part])) {
    for (const moment of MOMENTS) {
      const values = await readStack(file, `${moment}.${stack[0].name}`, stack);
      let begin = 0;
      for (const part of stack) {
        const end = begin + sizeOf(part.shape);
        uploadPart(gpu, values.subarray(begin, end), part, trained, moment);
        begin = end;
      }
    }
  }
}

async function readStack(file: SafetensorsFile, name: string, stack: Stack) {
  const { shape } = file.info(name);
  const count = stack.reduce((sum, part) => sum + sizeOf(part.shape), 0);
  if (sizeOf(shape) === count) return await file.readFloat32(name);
  throw new UserError(
    `${file.path}: ${name} is [${shape}], ${sizeOf(shape)} numbers; expected ${count}`,
  );
}

/** Writes what is trained here of a part's moment. */
function uploadPart(
  gpu: Gpu,
  values: Float32Array<ArrayBuffer>,
  part: Part,
  trained: readonly Trained[],
  moment: typeof MOMENTS[number],
): void {
  for (const { gradient, slice, [moment]: tensor } of trained) {
    if (gradient !== part.tensor.gradient) continue;
    const first = slice?.first ?? 0;
    const begin = Math.max(first, part.first);
    const end = Math.min(first + tensor.size, part.first + values.length);
    if (begin >= end) continue;
    const own = values.subarray(begin - part.first, end - part.first);
    upload(gpu, tensor, own, begin - first);
  }
}

/**
 * The stacks of the first format: queries, keys and values of a layer, and those matrices of all its
 * experts that read the same input. A stack has the name of its first parameter.
 */
function stacksOf(parts: readonly Part[]): Stack[] {
  const key = (name: string) =>
    name.replace(/\.[qkv]_proj\./, ".qkv.")
      .replace(/\.mlp\.(experts\.\d+\.)?(gate_up|gate|up)_proj\./, ".mlp.up.")
      .replace(/\.mlp\.(experts\.\d+\.)?(gate_down|down)_proj\./, ".mlp.down.");
  return [...Map.groupBy(parts, ({ name }) => key(name)).values()];
}
