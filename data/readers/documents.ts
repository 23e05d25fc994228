import { didYouMean } from "../../kernels/runtime/did-you-mean.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Document } from "../document.ts";
import { CORPORA, corpusOf } from "./corpora/corpora.ts";
import type { Corpus, TextRules } from "./corpora/corpus.ts";
import { plain } from "./corpora/plain.ts";
import type { RecordBatch } from "./files/record-batch.ts";
import type { Problem } from "./problems.ts";
import { BadRecord, type CorpusRecord, parseRecord } from "./record.ts";

/** How the records of a file become documents. */
export interface ReadingRules extends TextRules {
  /** The name of a corpus; if undefined, each record is of the corpus that has its fields. */
  corpus?: string;
  /** The field that holds the text of plain records. */
  textKey: string;
  /** Whether records are {@linkcode ReadDocument}s that an earlier pass wrote. */
  carried?: boolean;
}

/** Records of any corpus that is known by its fields, or with a field `text`. */
export const DEFAULT_READING: ReadingRules = { asPublished: false, textKey: "text" };

/** A document with what its record holds besides the text. */
export interface ReadDocument extends Document {
  /** The path of the file that the text is from. */
  file: string;
  /** The fields of a plain record, which are written out again. */
  record?: CorpusRecord;
}

/** The documents of some records, and what was wrong with others. */
export interface Reading {
  documents: ReadDocument[];
  problems: Problem[];
  /** Number of records that the rules of their corpus leave out. */
  leftOut: number;
}

/**
 * The documents of a batch of records.
 *
 * @param unit what a record is called in its file, such as `line`
 * @throws UserError if there is no corpus of that name
 */
export function documentsOf(
  { bytes, bounds, first }: RecordBatch,
  file: string,
  unit: string,
  rules: ReadingRules,
): Reading {
  const reading: Reading = { documents: [], problems: [], leftOut: 0 };
  const { corpus: name, textKey } = rules;
  const given = name === undefined ? undefined : corpusNamed(name, textKey);
  for (let i = 0; 2 * i < bounds.length; i++) {
    const place = `${unit} ${first + i}`;
    try {
      const record = parseRecord(
        bytes.subarray(bounds[2 * i], bounds[2 * i + 1]),
        (reason) => reading.problems.push({ file, place, reason, kept: true }),
      );
      if (record === undefined) continue;
      if (rules.carried) {
        reading.documents.push(record as unknown as ReadDocument);
        continue;
      }
      const corpus = given ?? corpusOfRecord(record, textKey);
      const original = corpus.textOf(record, rules);
      if (original === undefined) {
        reading.leftOut++;
        continue;
      }
      const text = original.toWellFormed();
      const oddity = oddityOf(original);
      if (oddity !== undefined) reading.problems.push({ file, place, reason: oddity, kept: true });
      reading.documents.push({ text, file, place, ...originOf(record, corpus, file, textKey) });
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      reading.problems.push({ file, place, reason: error.message, kept: false });
    }
  }
  return reading;
}

function corpusNamed(name: string, textKey: string): Corpus {
  if (name === "plain") return plain(textKey);
  const corpus = CORPORA.find((corpus) => corpus.name === name);
  if (corpus !== undefined) return corpus;
  const names = CORPORA.map(({ name }) => name);
  throw new UserError(
    `there is no corpus "${name}"${didYouMean(name, names)} There are ${names.join(", ")}`,
  );
}

function corpusOfRecord(record: CorpusRecord, textKey: string): Corpus {
  const corpus = textKey === "text" ? corpusOf(record) : plain(textKey);
  if (corpus !== undefined) return corpus;
  const fields = Object.keys(record).join(", ") || "none";
  throw new BadRecord(
    `it has no field "text", nor the fields of a known corpus (it has ${fields})`,
  );
}

/**
 * The origin of a plain record, as far as it says it, and its other fields. The text is left out if
 * its field has another name than `text`, the name under which it is written.
 */
function originOf(record: CorpusRecord, { name }: Corpus, file: string, textKey: string) {
  if (name !== "plain") return { source: name };
  const source = typeof record.source === "string" ? record.source : file;
  if (textKey === "text") return { source, record };
  const { [textKey]: _, ...others } = record;
  return { source, record: others };
}

/** What is odd about a text, in words; undefined if nothing is. */
function oddityOf(text: string): string | undefined {
  const oddities: string[] = [];
  if (text.includes("\0")) oddities.push("NUL characters");
  if (!text.isWellFormed()) oddities.push("lone surrogates, replaced by U+FFFD");
  return oddities.length === 0 ? undefined : `it has ${oddities.join(" and ")}`;
}
