/**
 * A mistake that the person running the program can mend: its message says what was wrong, where
 * (file, line, key), what was expected and what to do.
 *
 * The one file of this folder that every other folder may import: it touches no GPU.
 */
export class UserError extends Error {
  override name = "UserError";
}

/** Runs a command line: a UserError ends it with its message alone and status 1. */
export async function runCommand(command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(1);
  }
}
