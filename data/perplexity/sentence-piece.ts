import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../text/error-message.ts";

/** The part of the library that is used here; it has no types. */
interface Processor {
  load(path: string): Promise<void>;
  encodePieces(text: string): string[];
}

/** Cuts a text into the pieces of a SentencePiece model (Kudo and Richardson 2018, D18-2012). */
export type PieceEncoder = (text: string) => string[];

/**
 * Of a longer text only this many UTF-16 units are encoded: the library takes some 200 bytes for
 * each.
 */
const LONGEST = 1_000_000;

/**
 * Loads a SentencePiece `.model` file of any type.
 *
 * @throws UserError if there is none
 */
export async function loadSentencePiece(path: string): Promise<PieceEncoder> {
  // Where none is asked for, threads start faster without it.
  const { SentencePieceProcessor } = await import("@agnai/sentencepiece-js");
  const processor: Processor = new SentencePieceProcessor();
  try {
    await processor.load(path);
  } catch (error) {
    throw new UserError(`${path} cannot be read: ${messageOf(error)}`);
  }
  // The library does not tell that a file is no model, but then has no pieces for any text.
  if (processor.encodePieces("a").length === 0) {
    throw new UserError(
      `${path} is not a SentencePiece model: give the .model file, not the .vocab`,
    );
  }
  return (text) => processor.encodePieces(text.slice(0, LONGEST));
}
