import { documentMarks } from "../tokenizer/document-marks.ts";
import type { Encoder } from "../tokenizer/encoder.ts";
import { encoderOf } from "../tokenizer/encoder-of.ts";
import { loadTokenizerFiles } from "../tokenizer/load-tokenizer-files.ts";
import { TokenTable } from "../tokenizer/token-table.ts";
import { documentsOf, type ReadingRules } from "../readers/documents.ts";
import type { Problem } from "../readers/problems.ts";
import type { RecordJob } from "../readers/record-jobs.ts";
import type { Work } from "../threads.ts";

/** What all jobs of a tokenization have in common. */
export interface TokenizeSetup {
  /** The path of a `tokenizer.json` or of a model's folder; Qwen1.5's if undefined. */
  tokenizer?: string;
  reading: ReadingRules;
}

export interface TokenizeJobResult {
  /**
   * The tokens of all documents, int32 [tokens]; the last token of each document is the end token.
   */
  tokens: Int32Array<ArrayBuffer>;
  /** Number of tokens of each document. */
  lengths: Uint32Array<ArrayBuffer>;
  problems: Problem[];
}

/** What turns documents into tokens. */
export interface DocumentEncoder {
  /** Gives the ids of a document, with what the tokenizer puts before it. */
  readonly encoder: Encoder;
  /** The id that follows every document; see `DocumentMarks`. */
  readonly endToken: number;
  /** The id that fills blocks. */
  readonly paddingToken: number;
}

/**
 * Loads the encoder of a `tokenizer.json` or of a model's folder, or Qwen1.5's.
 *
 * @throws UserError if the tokenizer cannot be had, or has no token that could end a document
 */
export async function loadDocumentEncoder(path?: string): Promise<DocumentEncoder> {
  const files = await loadTokenizerFiles(path);
  const { before, endOfDocument, padding } = documentMarks(files, new TokenTable(files));
  const encoder = encoderOf(files);
  const document = { encode: (text: string) => [...before, ...encoder.encode(text)] };
  return {
    encoder: before.length > 0 ? document : encoder,
    endToken: endOfDocument,
    paddingToken: padding,
  };
}

/** The work of a worker, which loads its own encoder. */
export async function prepareTokenizing(
  { tokenizer, reading }: TokenizeSetup,
): Promise<Work<RecordJob, TokenizeJobResult>> {
  return tokenizingWork(await loadDocumentEncoder(tokenizer), reading);
}

/** The work of one thread: it reads a batch of records and turns its documents into tokens. */
export function tokenizingWork(
  { encoder, endToken }: DocumentEncoder,
  reading: ReadingRules,
): Work<RecordJob, TokenizeJobResult> {
  return ({ batch, file, unit }) => {
    const { documents, problems } = documentsOf(batch, file, unit, reading);
    const encoded = documents.map(({ text }) => encoder.encode(text));
    const lengths = Uint32Array.from(encoded, (ids) => ids.length + 1);
    const tokens = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
    let at = 0;
    for (const ids of encoded) {
      tokens.set(ids, at);
      at += ids.length;
      tokens[at++] = endToken;
    }
    return { tokens, lengths, problems };
  };
}
