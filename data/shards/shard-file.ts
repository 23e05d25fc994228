import { UserError } from "../../kernels/runtime/user-error.ts";
import { folderError, readError } from "../files/file-errors.ts";
import { readFully } from "../files/read-fully.ts";

/**
 * The formats of a shard's header; after it, both hold the tokens as little-endian int32.
 *
 * - `litpkds`: that of the authors' shards (lit-gpt's packed dataset): the letters `LITPKDS`, u64
 *   version 1, u8 type of the tokens, u64 number of tokens; 24 bytes.
 * - `steel`: the letters `STEELLM` and a line feed, u32 version 1, u32 bytes a token (4), u64 number
 *   of tokens, u64 tokens a block; 32 bytes, so that the tokens can be mapped as they lie.
 */
export type ShardFormat = "steel" | "litpkds";

const LITPKDS = "LITPKDS";
const STEEL = "STEELLM\n";
const VERSION = 1;

/** The array of each type code of LITPKDS; 1 to 8. */
const LITPKDS_TYPES = [
  Uint8Array,
  Int8Array,
  Int16Array,
  Int32Array,
  BigInt64Array,
  Float32Array,
  Float64Array,
  Uint16Array,
];
const LITPKDS_INT32 = 4;

const HEADER_BYTES: Record<ShardFormat, number> = { steel: 32, litpkds: 24 };

/** The header of a shard that holds int32 tokens. */
export function shardHeader(
  format: ShardFormat,
  tokens: number,
  blockLength: number,
): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES[format]);
  const view = new DataView(header.buffer);
  if (format === "litpkds") {
    header.set(new TextEncoder().encode(LITPKDS));
    view.setBigUint64(7, BigInt(VERSION), true);
    view.setUint8(15, LITPKDS_INT32);
    view.setBigUint64(16, BigInt(tokens), true);
  } else {
    header.set(new TextEncoder().encode(STEEL));
    view.setUint32(8, VERSION, true);
    view.setUint32(12, Int32Array.BYTES_PER_ELEMENT, true);
    view.setBigUint64(16, BigInt(tokens), true);
    view.setBigUint64(24, BigInt(blockLength), true);
  }
  return header;
}

/** An open shard; close it, or declare it with `using`. */
export class Shard implements Disposable {
  /** The format of its header. */
  readonly format: ShardFormat;
  /** Number of tokens, padding included. */
  readonly length: number;
  /** Tokens of a block, where the header says it. */
  readonly blockLength: number | undefined;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #type: typeof LITPKDS_TYPES[number];

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
    const header = new Uint8Array(Math.max(...Object.values(HEADER_BYTES)));
    readFully(file, header);
    const view = new DataView(header.buffer);
    const letters = new TextDecoder("latin1").decode(header.subarray(0, STEEL.length));
    if (letters === STEEL) {
      this.format = "steel";
      this.#check(view.getUint32(8, true), view.getUint32(12, true) === 4);
      this.#type = Int32Array;
      this.length = Number(view.getBigUint64(16, true));
      this.blockLength = Number(view.getBigUint64(24, true));
    } else if (letters.startsWith(LITPKDS)) {
      this.format = "litpkds";
      const type = LITPKDS_TYPES[view.getUint8(15) - 1];
      this.#check(Number(view.getBigUint64(7, true)), type !== undefined);
      this.#type = type;
      this.length = Number(view.getBigUint64(16, true));
    } else {
      throw new UserError(`${path} is not a shard: it begins with neither STEELLM nor LITPKDS`);
    }
    const expected = HEADER_BYTES[this.format] + this.length * this.#type.BYTES_PER_ELEMENT;
    const { size } = file.statSync();
    if (size !== expected) {
      throw new UserError(
        `${path} has ${size} bytes, but its header's ${this.length} tokens take ${expected}: it is ` +
          `cut short or damaged; make it again`,
      );
    }
  }

  /** Opens a shard. @throws UserError if the file cannot be read or is not a whole shard */
  static open(path: string): Shard {
    const file = openForReading(path);
    try {
      return new Shard(path, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The tokens from `start` on, int32 [count]; the shard must have them. */
  read(start: number, count: number): Int32Array {
    const values = new this.#type(count);
    this.#file.seekSync(
      HEADER_BYTES[this.format] + start * this.#type.BYTES_PER_ELEMENT,
      Deno.SeekMode.Start,
    );
    readFully(this.#file, new Uint8Array(values.buffer));
    return values instanceof Int32Array ? values : Int32Array.from(values, Number);
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.close();
  }

  #check(version: number, isKnownType: boolean): void {
    if (version === VERSION && isKnownType) return;
    throw new UserError(
      `${this.#path} is a shard of version ${version} or of a type of token that is not known here`,
    );
  }
}

function openForReading(path: string): Deno.FsFile {
  try {
    if (Deno.statSync(path).isDirectory) throw folderError(path);
    return Deno.openSync(path);
  } catch (error) {
    throw error instanceof UserError ? error : readError(error, path);
  }
}
