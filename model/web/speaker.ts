import { Chat, type ChatOptions } from "../inference/chat.ts";
import type { GenerateOptions, LanguageModel } from "../inference/language-model.ts";

/** What the page talks to: a model in the browser, or one behind a server. */
export interface Speaker {
  /** Continues a text. Gives a piece of text for each token; leaving early stops it. */
  complete(prompt: string, options: GenerateOptions): AsyncIterable<string>;
  /** Answers within the conversation. Only an answer that was read to its end becomes part of it. */
  say(text: string, options: GenerateOptions): AsyncIterable<string>;
  /** Begins another conversation. */
  reset(): void;
}

/** A model in this browser. */
export class ModelSpeaker implements Speaker {
  /** What the conversation at hand is held with; filled anew for each answer. */
  readonly #options: ChatOptions = {};
  readonly #chat: Chat;

  /** Talks with a model that has a tokenizer. */
  constructor(private readonly model: LanguageModel) {
    this.#chat = new Chat(model, this.#options);
  }

  async *complete(prompt: string, options: GenerateOptions): AsyncGenerator<string> {
    for await (const { text } of this.model.generate(prompt, options)) yield text;
  }

  say(text: string, options: GenerateOptions): AsyncGenerator<string> {
    Object.assign(this.#options, options);
    return this.#chat.say(text);
  }

  reset(): void {
    this.#chat.reset();
  }
}
