/** A checkpoint's weights: one safetensors file, or several with an index, as in Hugging Face. */
import { isFileName } from "../../data/text/file-name.ts";
import { isRecord } from "../../data/files/is-record.ts";
import { parseObject } from "../../data/text/json.ts";
import { pathIn } from "../../data/files/text-folder.ts";
import { firstNotFinite } from "../finite.ts";
import { shown } from "../../data/text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { CheckpointFiles } from "./checkpoint-files.ts";
import { SafetensorsFile } from "./safetensors.ts";

/** The file of weights that are not spread over several. */
export const SINGLE_FILE = "model.safetensors";
/** Says which file each tensor is in where there are several. */
export const INDEX_FILE = "model.safetensors.index.json";

/** Opens a checkpoint's weights. @throws UserError if there are none or the index is damaged */
export async function openWeights(files: CheckpointFiles): Promise<SafetensorsFile[]> {
  if (await files.size(SINGLE_FILE) !== undefined) {
    return [await SafetensorsFile.open(files, SINGLE_FILE)];
  }
  const index = await files.text(INDEX_FILE);
  if (index === undefined) {
    throw new UserError(
      `${files.dir}: there are no weights; expected ${SINGLE_FILE} or ${INDEX_FILE} ` +
        `(weights of another format, such as pytorch_model.bin, must be converted first)`,
    );
  }
  const shards: SafetensorsFile[] = [];
  for (const name of fileNames(index, pathIn(files, INDEX_FILE))) {
    shards.push(await SafetensorsFile.open(files, name));
  }
  return shards;
}

/**
 * The values of a weight, row-major.
 *
 * @throws UserError if the file cannot be read, or if a value is NaN or infinite
 */
export async function readWeights(
  file: SafetensorsFile,
  name: string,
): Promise<Float32Array<ArrayBuffer>> {
  const values = await file.readFloat32(name);
  const broken = firstNotFinite(values);
  if (broken < 0) return values;
  throw new UserError(
    `${file.path}: "${name}" holds ${values[broken]}, its value ${broken + 1} of ` +
      `${values.length}: the weights are broken, by an overflow or in a merge; use others`,
  );
}

/** The names of the files that an index maps tensors to, each once. */
function fileNames(index: string, path: string): Set<string> {
  const { weight_map: fileOf } = parseObject(index, path);
  if (!isRecord(fileOf)) {
    throw new UserError(`${path}: "weight_map" must map tensor names to file names`);
  }
  const files = new Set<string>();
  for (const [tensor, file] of Object.entries(fileOf)) {
    if (typeof file !== "string" || !isFileName(file)) {
      throw new UserError(
        `${path}: weight_map puts "${tensor}" into ${shown(file)}; ` +
          `expected the name of a file in the same folder`,
      );
    }
    files.add(file);
  }
  return files;
}
