import type { Trained } from "../../kernels/optimizer/adamw.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { SafetensorsFile } from "../../model/checkpoint/safetensors.ts";
import type { Part } from "../../model/network/parameters.ts";
import { openSafetensors } from "../../model/host/open-checkpoint.ts";
import { writeSafetensors } from "../../model/host/write-safetensors.ts";

/** AdamW's two moments, as they are called in files. */
const MOMENTS = ["mean", "square"] as const;

/** Parameters whose moments a file keeps in one tensor, one behind the other. */
type Stack = readonly Part[];

/**
 * Writes AdamW's moments: `mean.NAME` and `square.NAME` for every published parameter, f32, in its
 * published shape. Which parameters share a tensor on the GPU does not show.
 *
 * @param parts every published parameter
 * @param trained the moments of every tensor that the parts lie in
 */
export async function writeOptimizerState(
  path: string,
  gpu: Gpu,
  parts: readonly Part[],
  trained: readonly Trained[],
): Promise<void> {
  const moments = new Map(
    parts.flatMap((part) =>
      MOMENTS.map((moment) => [
        `${moment}.${part.name}`,
        { part, tensor: stateOf(part, trained)[moment] },
      ])
    ),
  );
  await writeSafetensors(
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
 * @param isStacked the file is of the first format, which kept the moments of several parameters in
 *   one tensor
 * @throws UserError for a file that is damaged or of another model
 */
export async function readOptimizerState(
  path: string,
  gpu: Gpu,
  parts: readonly Part[],
  trained: readonly Trained[],
  isStacked: boolean,
): Promise<void> {
  await allocate(gpu, trained.flatMap(({ mean, square }) => [mean.storage, square.storage]));
  using file = await openSafetensors(path);
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
 * What files of the first format keep together: the queries, keys and values of a layer, and the
 * matrices of all its experts that read the same input, in the order of publication and under the
 * first one's name.
 */
function stacksOf(parts: readonly Part[]): Stack[] {
  const key = (name: string) =>
    name.replace(/\.[qkv]_proj\./, ".qkv.")
      .replace(/\.mlp\.(experts\.\d+\.)?(gate_up|gate|up)_proj\./, ".mlp.up.")
      .replace(/\.mlp\.(experts\.\d+\.)?(gate_down|down)_proj\./, ".mlp.down.");
  return [...Map.groupBy(parts, ({ name }) => key(name)).values()];
}
