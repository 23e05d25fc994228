import { UserError } from "../../kernels/user-error.ts";
import type { Document } from "../document.ts";
import { joined } from "../joined.ts";
import { readBytes } from "../readers/files/bytes.ts";

/**
 * The documents of a JSON Lines file: one JSON object a line, its text in the field `text`. Empty
 * lines are passed over. The file is read as it is used, so that it may be larger than memory, and
 * decompressed if it ends in `.gz` or `.zst`.
 *
 * @throws UserError naming file and line for what is not UTF-8, not JSON or has no text, and for a
 * file that cannot be read or decompressed
 */
export async function* jsonl(path: string): AsyncIterable<Document> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  for await (const bytes of lines(path)) {
    number++;
    const refuse = (reason: string) => new UserError(`${path}:${number}: ${reason}`);

    let line: string;
    try {
      line = decoder.decode(bytes);
    } catch {
      throw refuse("the line is not UTF-8; save the file as UTF-8");
    }
    if (line.trim() === "") continue;

    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch (error) {
      throw refuse(`the line is not JSON: ${(error as SyntaxError).message}`);
    }
    if (typeof record !== "object" || record === null || !("text" in record)) {
      throw refuse('expected an object with the field "text"');
    }
    if (typeof record.text !== "string") {
      throw refuse(`the field "text" must be a string, not ${JSON.stringify(record.text)}`);
    }
    yield { text: record.text, source: path, place: `line ${number}` };
  }
}

const NEWLINE = 0x0a;

/** The lines of a file as bytes, without their newlines. */
async function* lines(path: string): AsyncIterable<Uint8Array> {
  let begun: Uint8Array[] = [];
  for await (const chunk of readBytes(path)) {
    let start = 0;
    for (let end; (end = chunk.indexOf(NEWLINE, start)) !== -1; start = end + 1) {
      yield joined([...begun, chunk.subarray(start, end)]);
      begun = [];
    }
    if (start < chunk.length) begun.push(chunk.subarray(start));
  }
  if (begun.length > 0) yield joined(begun);
}
