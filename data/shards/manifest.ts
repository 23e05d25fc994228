import { createHash } from "node:crypto";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../text/error-message.ts";
import { parseObject } from "../text/json.ts";
import { isFileName } from "../text/file-name.ts";
import { isRecord } from "../files/is-record.ts";
import { fileText } from "../files/text-file.ts";
import { WholeFile } from "../files/whole-file.ts";
import { WORK_FOLDER } from "../files/work-folder.ts";
import { Shard, type ShardFormat } from "./shard-file.ts";

/** The name of a manifest's file. */
export const MANIFEST = "manifest.json";

/** What a manifest says of a shard. */
export interface ShardEntry {
  /** The name of its file in the folder. */
  file: string;
  /** Number of tokens, padding included. */
  tokens: number;
  /** MD5 of the whole file, in hexadecimal: it identifies the content. */
  md5: string;
}

/** What a folder of shards holds. It is written last: a folder that has one is whole. */
export interface Manifest {
  /** The version of the manifest's layout. */
  version: 1;
  /** The format of the shards. */
  format: ShardFormat;
  /** The path or name of the tokenizer. */
  tokenizer: string;
  /** Tokens of a block: a sequence and one more. */
  blockLength: number;
  /** The id that follows every document. */
  endToken: number;
  /** The id that fills the last shard; the loss must leave it out. */
  paddingToken: number;
  /** Number of documents and of tokens, end tokens included, by source. */
  sources: Record<string, { documents: number; tokens: number }>;
  /** The shards in their order. */
  shards: ShardEntry[];
}

/** Whether a folder holds shards, with a manifest or without, or is one in which they are made. */
export async function hasShards(dir: string): Promise<boolean> {
  for await (const { name } of Deno.readDir(dir)) {
    if (name === MANIFEST || name === WORK_FOLDER || name.endsWith(".bin")) return true;
  }
  return false;
}

/** Writes the manifest of a folder. @throws UserError if it cannot be written */
export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  await WholeFile.write(`${dir}/${MANIFEST}`, JSON.stringify(manifest, null, 2) + "\n");
}

/** Reads the manifest of a folder. @throws UserError if there is none, or if it is damaged */
export async function readManifest(dir: string): Promise<Manifest> {
  const path = `${dir}/${MANIFEST}`;
  let manifest: Record<string, unknown>;
  try {
    manifest = parseObject(await fileText(path), path);
  } catch (error) {
    throw new UserError(
      `${dir} is not a finished folder of shards (${
        messageOf(error)
      }): run "prepare" or "tokenize" ` +
        `again`,
    );
  }
  if (manifest.version !== 1 || !isManifest(manifest)) {
    throw new UserError(`${path} is not a manifest of version 1, or it is damaged`);
  }
  return manifest;
}

function isManifest(json: Record<string, unknown>): json is Record<string, unknown> & Manifest {
  const { format, tokenizer, blockLength, endToken, paddingToken, sources, shards } = json;
  const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
  const isSource = (source: unknown) =>
    isRecord(source) && isCount(source.documents) && isCount(source.tokens);
  const isEntry = (entry: unknown) =>
    isRecord(entry) && typeof entry.file === "string" && isFileName(entry.file) &&
    isCount(entry.tokens) && typeof entry.md5 === "string";
  return (format === "steel" || format === "litpkds") && typeof tokenizer === "string" &&
    isCount(blockLength) && Number(blockLength) > 0 && isCount(endToken) && isCount(paddingToken) &&
    isRecord(sources) && Object.values(sources).every(isSource) &&
    Array.isArray(shards) && shards.every(isEntry);
}

/** Ids of Qwen1.5's vocabulary: the one that ends documents, and the one that fills shards. */
const QWEN = { endToken: 151645, paddingToken: 151643 };

/**
 * Writes a manifest for shards that came without one, such as the authors'.
 *
 * @param blockLength tokens of their sequences and one more, where their headers do not say it
 * @throws UserError if the folder has a manifest, no shards, or one that is cut short
 */
export async function adoptShards(dir: string, blockLength: number): Promise<Manifest> {
  const names = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
  if (names.includes(MANIFEST)) {
    throw new UserError(
      `${dir} has a ${MANIFEST}, which would be overwritten: move it away first`,
    );
  }
  const files = names.filter((name) => name.endsWith(".bin")).toSorted();
  if (files.length === 0) throw new UserError(`${dir} has no shards: their names end in .bin`);
  const shards: ShardEntry[] = [];
  let format: ShardFormat = "litpkds";
  let toldLength = blockLength;
  for (const file of files) {
    using shard = Shard.open(`${dir}/${file}`);
    format = shard.format;
    toldLength = shard.blockLength ?? toldLength;
    shards.push({ file, tokens: shard.length, md5: await md5OfFile(`${dir}/${file}`) });
  }
  const tokens = shards.reduce((sum, shard) => sum + shard.tokens, 0);
  const manifest: Manifest = {
    ...{ version: 1, format, tokenizer: "Qwen1.5", blockLength: toldLength, ...QWEN },
    sources: { [dir]: { documents: 0, tokens } },
    shards,
  };
  await writeManifest(dir, manifest);
  return manifest;
}

/**
 * Compares the shards of a folder with its manifest.
 *
 * @throws UserError naming the first shard that is missing or differs
 */
export async function verifyShards(dir: string, manifest: Manifest): Promise<void> {
  for (const { file, tokens, md5 } of manifest.shards) {
    const path = `${dir}/${file}`;
    using shard = Shard.open(path);
    if (shard.length !== tokens || await md5OfFile(path) !== md5) {
      throw new UserError(
        `${path} is not the shard that ${MANIFEST} describes (${tokens} tokens, MD5 ${md5}): it was ` +
          `changed or damaged; make it again, or fetch it again`,
      );
    }
  }
}

/** The MD5 of a file, in hexadecimal. */
export async function md5OfFile(path: string): Promise<string> {
  const hash = createHash("md5");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
    hash.update(buffer.subarray(0, read));
  }
  return hash.digest("hex");
}
