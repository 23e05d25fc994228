import { UserError } from "../../kernels/runtime/user-error.ts";

/** What a piece of a SentencePiece model stands for. */
export type PieceKind = "normal" | "unknown" | "control" | "user defined" | "unused" | "byte";

/** A SentencePiece model, as `tokenizer.model` holds it. */
export interface PieceModel {
  readonly type: "unigram" | "bpe" | "word" | "char";
  /** The pieces by their ids. */
  readonly pieces: readonly { readonly text: string; readonly score: number; kind: PieceKind }[];
  /** Ids of the marks of a text; below 0 where there is none. */
  readonly ids: { readonly bos: number; readonly eos: number; readonly pad: number };
  /** What is done to a text before it is cut into pieces. */
  readonly normalizer: {
    /** Whether characters are replaced, by a table. */
    readonly replacesCharacters: boolean;
    /** Whether a space is put before a text. */
    readonly addsSpace: boolean;
    /** Whether spaces around a text are taken out, and those that repeat. */
    readonly removesSpaces: boolean;
  };
}

const KINDS: readonly PieceKind[] = [
  ...(["normal", "unknown", "control", "user defined", "unused", "byte"] as const),
];
const TYPES = ["unigram", "bpe", "word", "char"] as const;

/**
 * Reads a SentencePiece model (`sentencepiece_model.proto` of github.com/google/sentencepiece).
 *
 * @param path what errors call it
 * @throws UserError if the bytes are no such model
 */
export function parsePieceModel(bytes: Uint8Array, path: string): PieceModel {
  try {
    const model = fieldsOf(bytes);
    const trainer = fieldsOf(model.get(2)?.[0] as Uint8Array ?? new Uint8Array());
    const normalizer = fieldsOf(model.get(3)?.[0] as Uint8Array ?? new Uint8Array());
    const number = (fields: Fields, field: number, fallback: number) =>
      // Negative numbers are written as 64 bits.
      fields.has(field) ? Number(fields.get(field)!.at(-1)!) | 0 : fallback;
    const pieces = model.get(1)!.map((piece) => {
      const fields = fieldsOf(piece as Uint8Array);
      return {
        text: new TextDecoder("utf-8", { fatal: true }).decode(fields.get(1)![0] as Uint8Array),
        score: Number(fields.get(2)?.[0] ?? 0),
        kind: KINDS[number(fields, 3, 1) - 1],
      };
    });
    const charsmap = normalizer.get(2)?.[0] as Uint8Array | undefined;
    return {
      type: TYPES[number(trainer, 3, 1) - 1],
      pieces,
      ids: {
        bos: number(trainer, 41, 1),
        eos: number(trainer, 42, 2),
        pad: number(trainer, 43, -1),
      },
      normalizer: {
        replacesCharacters: charsmap !== undefined && charsmap.length > 0,
        addsSpace: number(normalizer, 3, 1) === 1,
        removesSpaces: number(normalizer, 4, 1) === 1,
      },
    };
  } catch {
    throw new UserError(`${path}: this is no SentencePiece model`);
  }
}

/** Values of a message by the number of their field: bytes, or numbers. */
type Fields = Map<number, (Uint8Array | number | bigint)[]>;

/** The fields of a message in the format of Protocol Buffers. */
function fieldsOf(bytes: Uint8Array): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const taken = (count: number): Uint8Array => {
    if (at + count > bytes.length) throw new RangeError("the message ends before its field");
    return bytes.subarray(at, at += count);
  };
  const value = (kind: number): Uint8Array | number | bigint => {
    switch (kind) {
      case 0:
        return varint();
      case 1:
        return taken(8);
      case 2:
        return taken(Number(varint()));
      case 5:
        return new DataView(taken(4).slice().buffer).getFloat32(0, true);
      default:
        throw new RangeError("no field of this kind");
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const values = fields.get(tag >> 3) ?? [];
    values.push(value(tag & 7));
    fields.set(tag >> 3, values);
  }
  return fields;
}
