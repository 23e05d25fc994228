/** A question and its answer. */
export interface Turn {
  /** What the user said. */
  question: string;
  /** What the assistant answered. */
  answer: string;
}

/** A conversation to train on: it has at least one turn, and no text of it is empty. */
export interface Conversation {
  /** The system message; the chat template has a default. */
  system?: string;
  /** The exchanges in their order. */
  turns: Turn[];
}

/** Two answers to the last question of a conversation, a better and a worse one. */
export interface Preference {
  /** The system message; the chat template has a default. */
  system?: string;
  /** The turns before the last question. */
  history: Turn[];
  /** The last question. */
  question: string;
  /** The better answer. */
  chosen: string;
  /** The worse answer. */
  rejected: string;
}

/** An example that cannot be trained on; the message says why. */
export class UnusableExample extends Error {
  /** Tells this error from others. */
  override name = "UnusableExample";
}
