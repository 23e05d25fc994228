import type { Conversation } from "../../data/instructions/conversation.ts";
import type { EncodedTurn } from "../../data/instructions/encode.ts";
import type { Encoder } from "../../data/tokenizer/encoder.ts";

/** A message of a chat. */
export interface ChatMessage {
  /** Who says it. */
  role: "system" | "user" | "assistant";
  /** What is said. */
  content: string;
}

/** How a model is told who says what: the texts around the messages of a chat. */
export interface ChatTemplate {
  /** The id of the token that ends an answer, if one does. */
  readonly endOfTurn?: number;
  /** Whether a chat may begin with a system message. */
  readonly takesSystem: boolean;
  /**
   * A chat as text.
   *
   * @param options.addGenerationPrompt end with the opening of the assistant's answer
   * @throws UserError for a chat that the template does not take
   */
  render(
    messages: readonly ChatMessage[],
    options?: { addGenerationPrompt?: boolean },
  ): string;
  /**
   * The ids of a conversation, turn by turn: what the model reads before an answer, and the answer
   * with the token that ends it.
   *
   * @throws UserError for a conversation that the template does not take
   */
  encodeTurns(conversation: Conversation, encoder: Encoder): EncodedTurn[];
}
