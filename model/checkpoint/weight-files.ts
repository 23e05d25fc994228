/** A checkpoint's weights: one safetensors file, or several with an index, as in Hugging Face. */
import { basename, join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { exists } from "../../data/files/exists.ts";
import { formatJson } from "../../data/files/json.ts";
import { readJson } from "../../data/files/json-file.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { SafetensorsFile, type TensorEntry, writeSafetensors } from "./safetensors.ts";
import { byteSize } from "./safetensors-header.ts";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";

/** Opens the weights in a folder. @throws UserError if there are none or the index is not one */
export async function openWeights(folder: string): Promise<SafetensorsFile[]> {
  const single = join(folder, SINGLE_FILE);
  if (await exists(single)) return [await SafetensorsFile.open(single)];
  const index = join(folder, INDEX_FILE);
  if (!await exists(index)) {
    throw new UserError(
      `${folder}: there are no weights; expected ${SINGLE_FILE} or ${INDEX_FILE} ` +
        `(weights of another format, such as pytorch_model.bin, must be converted first)`,
    );
  }
  const shards: SafetensorsFile[] = [];
  try {
    for (const name of await readIndex(index)) {
      shards.push(await SafetensorsFile.open(join(folder, name)));
    }
    return shards;
  } catch (error) {
    for (const shard of shards) shard.close();
    throw error;
  }
}

/** Writes `model.safetensors`, or files of at most `maxShardBytes` of weights and their index. */
export async function writeWeights(
  folder: string,
  entries: readonly TensorEntry[],
  tensors: (name: string) => Float32Array | Promise<Float32Array>,
  maxShardBytes: number,
): Promise<void> {
  const shards = splitIntoShards(entries, maxShardBytes);
  if (shards.length === 1) {
    return await writeSafetensors(join(folder, SINGLE_FILE), entries, tensors);
  }
  const fileOf: Record<string, string> = {};
  for (const [index, shard] of shards.entries()) {
    const file = shardName(index, shards.length);
    await writeSafetensors(join(folder, file), shard, tensors);
    for (const { name } of shard) fileOf[name] = file;
  }
  const index = { metadata: { total_size: totalBytes(entries) }, weight_map: fileOf };
  await WholeFile.write(join(folder, INDEX_FILE), formatJson(index));
}

/** The names of the files that an index maps tensors to, each once. */
async function readIndex(path: string): Promise<Set<string>> {
  const { weight_map: fileOf } = await readJson(path);
  if (!isRecord(fileOf)) {
    throw new UserError(`${path}: "weight_map" must map tensor names to file names`);
  }
  const files = new Set<string>();
  for (const [tensor, file] of Object.entries(fileOf)) {
    if (typeof file !== "string" || file === "" || basename(file) !== file) {
      throw new UserError(
        `${path}: weight_map puts "${tensor}" into ${JSON.stringify(file)}; ` +
          `expected the name of a file in the same folder`,
      );
    }
    files.add(file);
  }
  return files;
}

/** Fills each file before starting the next; a tensor larger than a file gets one of its own. */
function splitIntoShards(entries: readonly TensorEntry[], maxShardBytes: number): TensorEntry[][] {
  const shards: TensorEntry[][] = [];
  let room = 0;
  for (const entry of entries) {
    const bytes = byteSize(entry.dtype, entry.shape);
    if (shards.length === 0 || bytes > room) {
      shards.push([]);
      room = maxShardBytes;
    }
    shards.at(-1)!.push(entry);
    room -= bytes;
  }
  return shards;
}

function shardName(index: number, count: number): string {
  const digits = (value: number) => String(value).padStart(5, "0");
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function totalBytes(entries: readonly TensorEntry[]): number {
  return entries.reduce((sum, { dtype, shape }) => sum + byteSize(dtype, shape), 0);
}
