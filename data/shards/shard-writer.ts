import { basename } from "node:path";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { errorCode, readError } from "../files/file-errors.ts";
import { refuseForeign } from "../files/overwriting.ts";
import { WholeFile } from "../files/whole-file.ts";
import { MANIFEST, type Manifest, md5OfFile, type ShardEntry, writeManifest } from "./manifest.ts";
import { type ShardFormat, shardHeader } from "./shard-file.ts";

/** How shards are written. */
export interface ShardSettings {
  /** The format of their headers. */
  format: ShardFormat;
  /** The path or name of the tokenizer, for the manifest. */
  tokenizer: string;
  /** Tokens of a block: a sequence and one more. */
  blockLength: number;
  /** Blocks of a full shard; in `litpkds` every shard is full. */
  blocksPerShard: number;
  /** The id that follows every document, for the manifest. */
  endToken: number;
  /** The id that fills the last shard. */
  paddingToken: number;
}

/** The shards of the paper: 204,800 blocks of 2048 tokens and one more. */
export const PAPER_BLOCKS_PER_SHARD = 204_800;

/** More than any model reads at once. */
const LONGEST_SEQUENCE = 2 ** 20;
/** Tokens of a shard that is filled up: 17 GB. */
const LARGEST_SHARD = 2 ** 32;

/**
 * Refuses blocks and shards that padding would fill without end.
 *
 * @throws UserError naming the setting
 */
export function checkShardSize(
  { format, blockLength, blocksPerShard }: Pick<
    ShardSettings,
    "format" | "blockLength" | "blocksPerShard"
  >,
): void {
  const sequence = blockLength - 1;
  if (sequence > LONGEST_SEQUENCE) {
    throw new UserError(`sequence is ${sequence}: expected at most ${LONGEST_SEQUENCE} tokens`);
  }
  const most = Math.floor(LARGEST_SHARD / blockLength);
  if (format === "litpkds" && blocksPerShard > most) {
    throw new UserError(
      `blocksPerShard is ${blocksPerShard}: in litpkds every shard is filled up; expected at most ` +
        `${most} blocks of ${blockLength} tokens`,
    );
  }
}

/**
 * The manifest and the shards of an earlier run in a folder. The manifest comes first: once it is
 * removed, the other files do not pass for a whole folder.
 *
 * @throws UserError if the folder cannot be read, or its manifest.json is not a file of this
 *   program
 */
export async function earlierShards(dir: string): Promise<string[]> {
  await refuseForeign(`${dir}/${MANIFEST}`, ["version", "shards"]);
  let names: string[];
  try {
    names = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw readError(error, dir);
  }
  const shards = names.filter((name) => /^shard-\d{5}\.bin(\.unfinished)?$/.test(name));
  const manifest = names.filter((name) => name === MANIFEST);
  return [...manifest, ...shards].map((name) => `${dir}/${name}`);
}

/**
 * Packs documents into shards. Documents go on from block to block and from shard to shard; padding
 * fills the last block, or in `litpkds` the last shard. Must be disposed of, which removes a shard
 * that was not finished.
 */
export class ShardWriter implements AsyncDisposable {
  readonly #dir: string;
  readonly #settings: ShardSettings;
  /** Tokens of a full shard. */
  readonly #full: number;
  readonly #shards: ShardEntry[] = [];
  /** By name, which may be that of a property of every object, such as `constructor`. */
  readonly #sources = new Map<string, Manifest["sources"][string]>();
  /** Tokens that are not written yet. */
  readonly #buffer = new Int32Array(1 << 18);
  #buffered = 0;
  /** The current shard and the number of its tokens so far. */
  #file: WholeFile | undefined;
  #length = 0;

  /** Writes to `dir`, an existing folder. */
  constructor(dir: string, settings: ShardSettings) {
    this.#dir = dir;
    this.#settings = settings;
    this.#full = settings.blockLength * settings.blocksPerShard;
  }

  /** Adds a document's tokens, its end token included. */
  async add(tokens: Int32Array, source: string): Promise<void> {
    const counts = this.#sources.get(source) ?? { documents: 0, tokens: 0 };
    this.#sources.set(source, counts);
    counts.documents++;
    counts.tokens += tokens.length;
    await this.#put(tokens);
  }

  /**
   * Writes the last shard and the manifest.
   *
   * @throws UserError if there was no token
   */
  async finish(): Promise<Manifest> {
    const { format, blockLength, tokenizer, endToken, paddingToken } = this.#settings;
    const unit = format === "litpkds" ? this.#full : blockLength;
    const padding = new Int32Array(1 << 16).fill(paddingToken);
    for (let left = (unit - this.#length % unit) % unit; left > 0;) {
      const part = padding.subarray(0, left);
      await this.#put(part);
      left -= part.length;
    }
    if (this.#length > 0) await this.#finishShard();
    if (this.#shards.length === 0) throw new UserError("there is no token to write into shards");
    const manifest: Manifest = {
      version: 1,
      format,
      tokenizer,
      blockLength,
      endToken,
      paddingToken,
      sources: Object.fromEntries(this.#sources),
      shards: this.#shards,
    };
    await writeManifest(this.#dir, manifest);
    return manifest;
  }

  async #put(tokens: Int32Array): Promise<void> {
    for (let at = 0; at < tokens.length;) {
      const room = Math.min(this.#full - this.#length, this.#buffer.length - this.#buffered);
      const part = tokens.subarray(at, at + room);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      this.#length += part.length;
      at += part.length;
      if (this.#buffered === this.#buffer.length) await this.#flush();
      if (this.#length === this.#full) await this.#finishShard();
    }
  }

  async #flush(): Promise<void> {
    if (this.#file === undefined) {
      this.#file = await WholeFile.create(this.#path());
      await this.#file.append(this.#header());
    }
    await this.#file.append(new Uint8Array(this.#buffer.buffer, 0, 4 * this.#buffered));
    this.#buffered = 0;
  }

  async #finishShard(): Promise<void> {
    await this.#flush();
    const file = this.#file!;
    await file.overwrite(0, this.#header());
    await file.finish();
    const path = this.#path();
    const md5 = await md5OfFile(path);
    this.#shards.push({ file: basename(path), tokens: this.#length, md5 });
    this.#file = undefined;
    this.#length = 0;
  }

  /** Removes a shard that was not finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.[Symbol.asyncDispose]();
  }

  /** The header with the tokens so far; right once the shard is whole. */
  #header(): Uint8Array {
    const { format, blockLength } = this.#settings;
    return shardHeader(format, this.#length, blockLength);
  }

  #path(): string {
    return `${this.#dir}/shard-${String(this.#shards.length).padStart(5, "0")}.bin`;
  }
}
