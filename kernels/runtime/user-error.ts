/**
 * A mistake that the user of the program can fix: its message says what was wrong, where (file,
 * line, key), what was expected and what to do.
 *
 * The one file of this folder that every other folder may import: it touches no GPU.
 */
export class UserError extends Error {
  /** Shown before the message. */
  override name = "UserError";
}
