import { assertEquals } from "@std/assert";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { Random } from "../../data/random.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { randomText } from "./random-texts.ts";

/** How many of the added tokens random texts may contain. */
const ADDED = 300;

/**
 * Compares a tokenizer with `@huggingface/tokenizers`: the ids of random texts, alone and as the
 * beginning of a prompt; and the texts of these ids and of random ones, decoded at once and one by
 * one.
 *
 * @param files what our tokenizer is made of
 * @param original what the library's is made of, where that is something else
 */
export function compareWithLibrary(
  files: TokenizerFiles,
  { texts, seed, original = files }: { texts: number; seed: number; original?: TokenizerFiles },
): void {
  const ours = new Tokenizer(files);
  const library = new LibraryTokenizer(original.tokenizer, original.config);
  const added = original.tokenizer.added_tokens as { content: string }[];
  const tokens = added.slice(0, ADDED).map(({ content }) => content);
  const random = new Random(seed);
  const randomIds = () =>
    Array.from({ length: 1 + random.below(20) }, () => random.below(ours.size))
      .filter((id) => library.id_to_token(id) !== undefined);
  for (let i = 0; i < texts; i++) {
    const text = randomText(random, tokens);
    const ids = ours.encode(text);
    const message = `${files.name}: ${JSON.stringify(text)}`;
    assertEquals(ids, library.encode(text, { add_special_tokens: false }).ids, message);
    assertEquals(ours.encodePrompt(text), library.encode(text).ids, message);
    for (const some of [ids, randomIds()]) {
      if (some.length > 0) compareDecoding(ours, library, some, original);
    }
  }
}

function compareDecoding(
  ours: Tokenizer,
  library: LibraryTokenizer,
  ids: number[],
  { name, config }: TokenizerFiles,
): void {
  // Where a config does not say it, transformers cleans nothing up, but the library does.
  const cleanUp = config.clean_up_tokenization_spaces === true;
  for (const skipSpecial of [false, true]) {
    const decoded = library.decode(ids, {
      skip_special_tokens: skipSpecial,
      clean_up_tokenization_spaces: cleanUp,
    });
    const message = `${name}: ids ${ids}`;
    assertEquals(ours.decode(ids, { skipSpecial }), decoded, message);
    if (cleanUp) continue; // which a stream does not do
    const stream = ours.createDecodeStream({ skipSpecial });
    assertEquals(ids.map((id) => stream.push(id)).join("") + stream.flush(), decoded, message);
  }
}
