import { join } from "node:path";
import type { FileSum } from "../../data/files/checksum.ts";
import { formatJson } from "../../data/text/json.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import type { TensorValues } from "../checkpoint/safetensors-encoder.ts";
import { byteSize, type TensorEntry } from "../checkpoint/safetensors-header.ts";
import { INDEX_FILE, SINGLE_FILE } from "../checkpoint/weight-files.ts";
import { writeSafetensors } from "./write-safetensors.ts";

/**
 * Writes `model.safetensors`, or files of at most `maxShardBytes` of weights and their index.
 *
 * @returns the sum of each file, by name
 */
export async function writeWeights(
  folder: string,
  entries: readonly TensorEntry[],
  tensors: TensorValues,
  maxShardBytes: number,
): Promise<Record<string, FileSum>> {
  const shards = splitIntoShards(entries, maxShardBytes);
  if (shards.length === 1) {
    const path = join(folder, SINGLE_FILE);
    return { [SINGLE_FILE]: await writeSafetensors(path, entries, tensors) };
  }
  const sums: Record<string, FileSum> = {};
  const fileOf: Record<string, string> = {};
  for (const [index, shard] of shards.entries()) {
    const file = shardName(index, shards.length);
    sums[file] = await writeSafetensors(join(folder, file), shard, tensors);
    for (const { name } of shard) fileOf[name] = file;
  }
  const index = { metadata: { total_size: totalBytes(entries) }, weight_map: fileOf };
  sums[INDEX_FILE] = await WholeFile.write(join(folder, INDEX_FILE), formatJson(index));
  return sums;
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
