import type { FileSum } from "../../data/files/checksum.ts";
import type { Trained } from "../../kernels/optimizer/adamw.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { SafetensorsFile } from "../../model/checkpoint/safetensors.ts";
import type { Part } from "../../model/network/parameters.ts";
import { writeSafetensors } from "../../model/host/write-safetensors.ts";

/** AdamW's two moments, as files name them. */
const MOMENTS = ["mean", "square"] as const;

/** Parameters whose moments are in one tensor of a file, one after another. */
type Stack = readonly Part[];

/**
 * Writes AdamW's moments: `mean.NAME` and `square.NAME` for every published parameter, f32, in its
 * published shape. The file does not depend on which parameters share a tensor on the GPU.
 *
 * @param parts every published parameter
 * @param trained the moments of the tensors that hold the parts
 * @returns the file's sum
 */
export async function writeOptimizerState(
  path: string,
  gpu: Gpu,
  parts: readonly Part[],
  trained: readonly Trained[],
): Promise<FileSum> {
  const moments = new Map(
    parts.flatMap((part) =>
      MOMENTS.map((moment) => [
        `${moment}.${part.name}`,
        { part, tensor: stateOf(part, trained)[moment] },
      ])
    ),
  );
  return await writeSafetensors(
    path,
    [...moments].map(([name, { part }]) => ({ name, shape: [...part.shape], dtype: "F32" })),
    (name) => {
      const { part: { first, shape }, tensor } = moments.get(name)!;
      return download(gpu, tensor, first, sizeOf(shape));
    },
  );
}

/**
 * Reads AdamW's moments back.
 *
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
        upload(gpu, stateOf(part, trained)[moment], values.subarray(begin, end), part.first);
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

function stateOf({ tensor }: Part, trained: readonly Trained[]): Record<"mean" | "square", Tensor> {
  return trained.find(({ value }) => value === tensor)!;
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
