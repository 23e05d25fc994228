/** Status of a command whose reader has gone, as shells give it. */
const READER_GONE = 141;

/** Writes text to standard output as it is. Where nobody reads on, as behind `| head`, that is the end. */
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
