import { BytePairEncoder } from "./byte-pair-encoder.ts";
import type { Encoder } from "./encoder.ts";
import { LibraryTokenizer } from "./library-tokenizer.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/**
 * The encoder of a tokenizer: {@linkcode BytePairEncoder} if it is of a kind that it knows, else the
 * much slower one of `@huggingface/tokenizers`. Where both can encode, their ids are the same.
 *
 * @throws UserError if neither can use the files
 */
export function encoderOf(
  files: Pick<TokenizerFiles, "name" | "tokenizer" | "config">,
): Encoder {
  return BytePairEncoder.of(files) ?? new LibraryTokenizer(files);
}
