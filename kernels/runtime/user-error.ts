/**
 * A mistake that the user of the program can fix: its message says what was wrong, where (file,
 * line, key), what was expected and what to do.
 *
 * The one file of this folder that every other folder may import: it touches no GPU.
 */
export class UserError extends Error {
  /** Shown before the message. */
  override name = "UserError";

  /**
   * Makes the error.
   *
   * @param message cut in its middle if it is very long, as what stands in a file may be
   */
  constructor(message: string) {
    super(
      message.length <= MOST_SHOWN
        ? message
        : `${message.slice(0, MOST_SHOWN - ENDING)} … ${message.slice(-ENDING)}`.toWellFormed(),
    );
  }
}

/** Characters of a message that are shown, and how many of them of its end. */
const MOST_SHOWN = 3000;
const ENDING = 800;
