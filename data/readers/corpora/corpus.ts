import type { CorpusRecord } from "../record.ts";

/** How records become text where the scripts of the paper's authors make mistakes. */
export interface TextRules {
  /** Whether texts are made as the authors' scripts made them, their mistakes included. */
  asPublished: boolean;
}

/** One of the paper's corpora: how its records are recognised, and what their text is. */
export interface Corpus {
  readonly name: string;
  /**
   * Fields that all its records have, by which they are recognised; one list for each kind of
   * record.
   */
  readonly fields: readonly (readonly string[])[];
  /**
   * The text of a record, or undefined if the corpus' rules leave it out.
   *
   * @throws BadRecord if a field is missing or of another type
   */
  textOf(record: CorpusRecord, rules: TextRules): string | undefined;
}
