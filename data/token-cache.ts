import { createHash } from "node:crypto";
import { join } from "node:path";
import { makeFolderOf } from "./files/make-folder.ts";
import { isMissing, readError } from "./files/file-errors.ts";
import { WholeFile } from "./files/whole-file.ts";
import type { TokenCorpus } from "./token-corpus.ts";

/**
 * The corpus that an earlier call kept in the folder `dir` under `key`, or else the corpus that
 * `make` returns, which is kept for the next call.
 *
 * A file is read only if its checksum is right: a damaged one is made again, and so is one that
 * two processes wrote at once. A corpus that cannot be kept, as on a full disk, is still returned.
 *
 * @param key everything that the tokens depend on; JSON
 * @throws UserError if a file that is there cannot be read
 */
export async function cachedCorpus(
  dir: string,
  key: unknown,
  make: () => Promise<TokenCorpus>,
): Promise<TokenCorpus> {
  const name = sha256([new TextEncoder().encode(JSON.stringify(key))]).toString("hex");
  const path = join(dir, `tokens-${name.slice(0, 16)}.bin`);
  const kept = await read(path);
  if (kept !== undefined) return kept;
  const corpus = await make();
  await write(path, corpus).catch(() => {});
  return corpus;
}

/*
 * The file, little-endian: the SHA-256 of all that follows, the header's length as a uint32, the
 * header as JSON padded by spaces to whole words, the training tokens, the held-out tokens as int32.
 */
const DIGEST_BYTES = 32;
const HEADER_START = DIGEST_BYTES + 4;

interface Header {
  train: number;
  heldOut: number;
  tokensBySource: Record<string, number>;
}

async function write(path: string, { train, heldOut, tokensBySource }: TokenCorpus) {
  const header: Header = { train: train.length, heldOut: heldOut.length, tokensBySource };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(4 + Math.ceil(json.length / 4) * 4).fill(" ".charCodeAt(0));
  new DataView(start.buffer).setUint32(0, start.length - 4, true);
  start.set(json, 4);

  const parts = [start, bytesOf(train), bytesOf(heldOut)];
  await makeFolderOf(path);
  await using file = await WholeFile.create(path);
  for (const part of [sha256(parts), ...parts]) await file.append(part);
  await file.finish();
}

async function read(path: string): Promise<TokenCorpus | undefined> {
  const bytes = await Deno.readFile(path).catch((error) => {
    if (isMissing(error)) return new Uint8Array();
    throw readError(error, path);
  });
  const body = bytes.subarray(DIGEST_BYTES);
  if (!sha256([body]).equals(bytes.subarray(0, DIGEST_BYTES))) return undefined;

  const headerLength = new DataView(bytes.buffer).getUint32(DIGEST_BYTES, true);
  const tokensStart = HEADER_START + headerLength;
  const json = new TextDecoder().decode(bytes.subarray(HEADER_START, tokensStart));
  const { train, heldOut, tokensBySource }: Header = JSON.parse(json);
  return {
    train: new Int32Array(bytes.buffer, tokensStart, train),
    heldOut: new Int32Array(bytes.buffer, tokensStart + 4 * train, heldOut),
    tokensBySource,
  };
}

function sha256(parts: Uint8Array[]) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function bytesOf(tokens: Int32Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}
