/** A text of a corpus, and where it is from. */
export interface Document {
  /** The text itself. */
  text: string;
  /** The corpus: a package's name or a file's path. */
  source: string;
  /** Its place in the source, in words for an error message, such as `line 12`. */
  place: string;
}
