import { BytePairEncoder } from "./byte-pair-encoder.ts";
import { CharacterPairEncoder } from "./character-pair-encoder.ts";
import { checkPatterns } from "./check-patterns.ts";
import type { Encoder } from "./encoder.ts";
import { LibraryTokenizer } from "./library-tokenizer.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/**
 * The encoder of a tokenizer: {@linkcode BytePairEncoder} or {@linkcode CharacterPairEncoder} if it is
 * of a kind that they know, else the much slower one of `@huggingface/tokenizers`. Where both can
 * encode, their ids are the same.
 *
 * @throws UserError if neither can use the files, or if a pattern in them could take for ever
 */
export function encoderOf(
  files: Pick<TokenizerFiles, "name" | "tokenizer" | "config">,
): Encoder {
  checkPatterns(files.tokenizer, files.name);
  return BytePairEncoder.of(files) ?? CharacterPairEncoder.of(files) ?? new LibraryTokenizer(files);
}
