/** Every way to end a line: `\n`, `\r\n` and, as old Macs did, `\r`. */
export const LINE_END = /\r\n|\r|\n/;

/** A text with `\n` at the end of each line, as Python reads text files. */
export function withLineFeeds(text: string): string {
  return text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text;
}
