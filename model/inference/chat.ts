import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ChatMessage } from "../tokenizer/chat-template.ts";
import type { GenerateOptions, LanguageModel } from "./language-model.ts";

/** How a model chats. */
export interface ChatOptions extends GenerateOptions {
  /** The system message; the chat template has a default. */
  system?: string;
}

/** A conversation with a model, in its chat template. */
export class Chat {
  #messages: ChatMessage[] = [];

  /** Begins a conversation with a model that has a tokenizer. */
  constructor(private readonly model: LanguageModel, private readonly options: ChatOptions = {}) {
    this.reset();
  }

  /** The conversation so far, with the system message if there is one. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /**
   * Says something and streams the answer. Only an answer that was read to its end becomes part of
   * the conversation.
   *
   * @returns the answer in pieces
   * @throws UserError if the conversation has grown longer than the model can read
   */
  async *say(text: string): AsyncGenerator<string> {
    const messages: ChatMessage[] = [...this.#messages, { role: "user", content: text }];
    const { tokenizer, config: { maxPositions } } = this.model;
    const prompt = tokenizer.encodeChat(messages);
    if (prompt.length >= maxPositions) {
      throw new UserError(
        `This makes the chat ${prompt.length} tokens long, but the model takes at most ` +
          `${maxPositions} (max_position_embeddings), so that none is left for an answer: say ` +
          `less, or reset the chat.`,
      );
    }
    let answer = "";
    for await (const token of this.model.generate(prompt, this.options)) {
      answer += token.text;
      yield token.text;
    }
    this.#messages = [...messages, { role: "assistant", content: answer }];
  }

  /** Starts a new conversation. */
  reset(): void {
    const { system } = this.options;
    this.#messages = system === undefined ? [] : [{ role: "system", content: system }];
  }
}
