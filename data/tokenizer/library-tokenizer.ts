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
  readonly #tokenizer: AnyTokenizer;

  /**
   * Makes the tokenizer that files define.
   *
   * @throws UserError if the library cannot use them
   */
  constructor({ name, tokenizer, config }: Pick<TokenizerFiles, "name" | "tokenizer" | "config">) {
    try {
      this.#tokenizer = new AnyTokenizer(tokenizer, config);
    } catch (error) {
      throw new UserError(`${name}: the tokenizer cannot be used: ${messageOf(error)}`);
    }
  }

  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /**
   * The text of ids, each of which has a token.
   *
   * @param cleanUp take out spaces before punctuation, as `clean_up_tokenization_spaces` asks for
   */
  decode(ids: readonly number[], cleanUp = false): string {
    if (ids.length === 0) return ""; // which the library refuses
    return this.#tokenizer.decode([...ids], { clean_up_tokenization_spaces: cleanUp });
  }
}
