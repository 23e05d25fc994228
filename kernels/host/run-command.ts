import { UserError } from "../runtime/user-error.ts";
import { Stopped } from "./stop-signals.ts";

/**
 * Runs a command line: a UserError ends it with its message alone and status 1, a signal that stopped
 * it with a message and the signal's status.
 */
export async function runCommand(command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (error) {
    if (error instanceof Stopped) {
      console.error(error.message);
      Deno.exit(error.status);
    }
    if (!(error instanceof UserError)) throw error;
    console.error(`error: ${error.message}`);
    Deno.exit(1);
  }
}
