/** How far a task is. */
export interface Progress {
  /** The name of the task, such as `cleaning`. */
  task: string;
  /** Units done so far, of `total`. */
  done: number;
  /** Units of the whole task. */
  total: number;
  /** The name of the units, such as `questions`; absent where their rate tells nothing. */
  unit?: string;
  /**
   * What else there is to show at this moment, such as the loss or the current file; may be empty.
   */
  status: string;
}

/**
 * Called whenever a task makes progress, perhaps after every document: it should return at once.
 */
export type OnProgress = (progress: Progress) => void;
