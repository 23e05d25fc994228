import { Tokenizer as AnyTokenizer } from "@huggingface/tokenizers";
import { messageOf } from "../text/error-message.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Encoder } from "./encoder.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/**
 * A tokenizer of any kind, as `@huggingface/tokenizers` computes it: slow, but it knows every
 * normaliser, splitter, model and decoder of `tokenizer.json` files.
 */
export class LibraryTokenizer implements Encoder {
  readonly #name: string;
  readonly #tokenizer: AnyTokenizer;

  /**
   * Makes the tokenizer that files define.
   *
   * @throws UserError if the library cannot use them
   */
  constructor({ name, tokenizer, config }: Pick<TokenizerFiles, "name" | "tokenizer" | "config">) {
    this.#name = name;
    this.#tokenizer = this.#orRefuse(() => new AnyTokenizer(tokenizer, config));
  }

  encode(text: string): number[] {
    return this.#orRefuse(() => this.#tokenizer.encode(text, { add_special_tokens: false }).ids);
  }

  /**
   * The text of ids, each of which has a token.
   *
   * @param cleanUp take out spaces before punctuation, as `clean_up_tokenization_spaces` asks for
   */
  decode(ids: readonly number[], cleanUp = false): string {
    if (ids.length === 0) return ""; // which the library refuses
    return this.#orRefuse(() =>
      this.#tokenizer.decode([...ids], { clean_up_tokenization_spaces: cleanUp })
    );
  }

  /** What the library does not expect of a file, it may find only when it is used. */
  #orRefuse<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      throw new UserError(`${this.#name}: the tokenizer cannot be used: ${messageOf(error)}`);
    }
  }
}
