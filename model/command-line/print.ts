/** The exit status that shells give a command whose reader has gone. */
const READER_GONE = 141;

/** Writes text to standard output; ends the program when nobody reads any more, as after `| head`. */
export function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let written = 0; written < bytes.length;) {
      written += Deno.stdout.writeSync(bytes.subarray(written));
    }
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(READER_GONE);
    throw error;
  }
}
