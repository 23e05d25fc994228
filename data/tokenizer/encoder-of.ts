import { Tokenizer as AnyTokenizer } from "@huggingface/tokenizers";
import { messageOf } from "../text/error-message.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { BytePairEncoder } from "./byte-pair-encoder.ts";
import type { Encoder } from "./encoder.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/**
 * The encoder of a tokenizer: {@linkcode BytePairEncoder} if it is of Qwen's kind, else the much
 * slower one of `@huggingface/tokenizers`. Where both can encode, their ids are the same.
 *
 * @throws UserError if neither can use the files
 */
export function encoderOf(
  files: Pick<TokenizerFiles, "name" | "tokenizer" | "config">,
): Encoder {
  return BytePairEncoder.of(files) ?? anyEncoderOf(files);
}

function anyEncoderOf(
  { name, tokenizer, config }: Pick<TokenizerFiles, "name" | "tokenizer" | "config">,
): Encoder {
  try {
    const encoder = new AnyTokenizer(tokenizer, config);
    return { encode: (text) => encoder.encode(text, { add_special_tokens: false }).ids };
  } catch (error) {
    throw new UserError(`${name}: the tokenizer cannot be used: ${messageOf(error)}`);
  }
}
