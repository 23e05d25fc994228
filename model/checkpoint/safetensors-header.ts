import { isRecord } from "../../data/files/is-record.ts";
import { shown } from "../../data/text/shown.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";

const BYTES_PER_VALUE = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

/** The types that the format knows. */
export type Dtype = keyof typeof BYTES_PER_VALUE;
/** The types that weights are written in. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** What a header says of a tensor. */
export interface TensorInfo {
  dtype: Dtype;
  shape: number[];
  /** First byte and the byte after the last, counted from the end of the header. */
  begin: number;
  end: number;
}

/** A tensor to be written. */
export interface TensorEntry {
  name: string;
  shape: readonly number[];
  dtype: FloatDtype;
}

/** The reference implementation's limit; Steel-LLM's own header has 50 kB. */
export const MAX_HEADER_BYTES = 100_000_000;

/** The bytes of a tensor in the file. */
export function byteSize(dtype: Dtype, shape: readonly number[]): number {
  return sizeOf(shape) * BYTES_PER_VALUE[dtype];
}

/** Reads and checks a header; `dataSize` is how many bytes follow it in the file. */
export function parseHeader(
  bytes: Uint8Array,
  dataSize: number,
  path: string,
): Map<string, TensorInfo> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path}: the header is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(header)) throw new UserError(`${path}: the header is not a JSON object`);
  const repeated = firstRepeatedKey(text);
  if (repeated !== undefined) {
    throw new UserError(`${path}: the tensor "${repeated}" is listed twice`);
  }

  const { __metadata__: given, ...described } = header;
  const metadata = given ?? {};
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    throw new UserError(`${path}: "__metadata__" must map names to texts`);
  }
  const tensors = new Map<string, TensorInfo>();
  for (const [name, info] of Object.entries(described)) {
    tensors.set(name, parseTensorInfo(info, `${path}: tensor "${name}"`));
  }
  checkLayout(tensors, dataSize, path);
  return tensors;
}

function parseTensorInfo(info: unknown, where: string): TensorInfo {
  if (!isRecord(info)) throw new UserError(`${where}: expected dtype, shape and data_offsets`);
  const { dtype, shape, data_offsets: offsets } = info;
  if (typeof dtype !== "string" || !Object.hasOwn(BYTES_PER_VALUE, dtype)) {
    throw new UserError(
      `${where}: unknown dtype ${shown(dtype)}; ` +
        `known are ${Object.keys(BYTES_PER_VALUE).join(", ")}`,
    );
  }
  if (!isCountList(shape)) throw new UserError(`${where}: the shape is not a list of sizes`);
  if (!isCountList(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw new UserError(`${where}: data_offsets must be [begin, end] with begin <= end`);
  }
  const [begin, end] = offsets;
  const expected = byteSize(dtype as Dtype, shape);
  if (end - begin !== expected) {
    throw new UserError(
      `${where}: [${shape}] of ${dtype} needs ${expected} bytes, but ${end - begin} are assigned`,
    );
  }
  return { dtype: dtype as Dtype, shape, begin, end };
}

/** The tensors must cover the data exactly: nothing shared, no holes, nothing before or after. */
function checkLayout(tensors: Map<string, TensorInfo>, dataSize: number, path: string): void {
  const byOffset = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const [name, { begin, end }] of byOffset) {
    if (begin !== covered) {
      const fault = begin < covered ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new UserError(`${path}: tensor "${name}" at byte ${begin} ${fault}, at ${covered}`);
    }
    covered = end;
  }
  if (covered > dataSize) {
    throw new UserError(
      `${path}: the tensors need ${covered} bytes but only ${dataSize} follow the header; ` +
        `the file is cut off: copy or download it again`,
    );
  }
  if (covered < dataSize) {
    throw new UserError(`${path}: ${dataSize - covered} bytes follow the last tensor`);
  }
}

/** Searches the JSON text itself, since JSON.parse silently keeps the last of two equal keys. */
function firstRepeatedKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === "{") depth++;
    else if (character === "}") depth--;
    else if (character === '"') {
      const end = endOfText(json, at);
      if (depth === 1 && isKey(json, end)) {
        const name: string = JSON.parse(json.slice(at, end));
        if (seen.has(name)) return name;
        seen.add(name);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Where the text that begins at a quotation mark ends: behind the next one that is not escaped. */
function endOfText(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1);; at = json.indexOf('"', at + 1)) {
    let escapes = 0;
    while (json[at - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return at + 1;
  }
}

function isKey(json: string, end: number): boolean {
  while (/\s/.test(json[end])) end++;
  return json[end] === ":";
}

/** The bytes of a file up to where the data begin, and how many bytes of data follow. */
export function encodeHeader(
  entries: readonly TensorEntry[],
): { bytes: Uint8Array<ArrayBuffer>; dataSize: number } {
  let dataSize = 0;
  const header = new Map<string, unknown>([["__metadata__", { format: "pt" }]]);
  for (const { name, shape, dtype } of entries) {
    if (header.has(name)) throw new RangeError(`the tensor "${name}" is listed twice`);
    const end = dataSize + byteSize(dtype, shape);
    header.set(name, { dtype, shape, data_offsets: [dataSize, end] });
    dataSize = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, 8);
  return { bytes, dataSize };
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => Number.isSafeInteger(one) && one >= 0);
}
