import { isRecord } from "../files/is-record.ts";
import { parseObject } from "../text/json.ts";
import { LINE_END } from "../text/line-ends.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { pathIn, type TextFolder } from "../files/text-folder.ts";

/** The files that define a tokenizer. */
export interface TokenizerFiles {
  /** Where they are from, as errors name it. */
  readonly name: string;
  /** The contents of `tokenizer.json`. */
  readonly tokenizer: Record<string, unknown>;
  /** The contents of `tokenizer_config.json`; empty if there is none. */
  readonly config: Record<string, unknown>;
  /** The text of each file by its name, to be stored with a checkpoint. */
  texts(): Record<string, string>;
}

/** Every file in which transformers keeps a part of a Qwen tokenizer. */
const FILE_NAMES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/**
 * Reads the tokenizer of a folder: `tokenizer.json`, or Qwen's older `vocab.json` and `merges.txt`.
 *
 * @returns undefined if the folder has neither
 * @throws UserError if a file is not a JSON object, or has a line that is no merge
 */
export async function readTokenizerFiles(folder: TextFolder): Promise<TokenizerFiles | undefined> {
  const texts: Record<string, string> = {};
  for (const name of FILE_NAMES) {
    const text = await folder.text(name);
    if (text !== undefined) texts[name] = text;
  }
  const parse = (name: string) => parseObject(texts[name] ?? "{}", pathIn(folder, name));
  const isOlder = texts["tokenizer.json"] === undefined;
  if (isOlder && (texts["vocab.json"] === undefined || texts["merges.txt"] === undefined)) {
    return undefined;
  }
  const config = parse("tokenizer_config.json");
  const tokenizer = isOlder
    ? fromVocabularyAndMerges(
      parse("vocab.json"),
      mergesOf(texts["merges.txt"], pathIn(folder, "merges.txt")),
      config,
    )
    : parse("tokenizer.json");
  return { name: folder.dir, tokenizer, config, texts: () => texts };
}

/** The `tokenizer.json` that transformers makes of the older files: Qwen2's steps around their BPE. */
function fromVocabularyAndMerges(
  vocab: Record<string, unknown>,
  merges: string[],
  config: Record<string, unknown>,
): Record<string, unknown> {
  const added = isRecord(config.added_tokens_decoder) ? config.added_tokens_decoder : {};
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  return {
    added_tokens: Object.entries(added).map(([id, token]) => ({
      ...(isRecord(token) ? token : {}),
      id: Number(id),
    })),
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: QWEN_WORDS }, behavior: "Isolated", invert: false },
        byteLevel,
      ],
    },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: { type: "BPE", vocab, merges },
  };
}

/** The merges of `merges.txt`, a line each behind a line with the version. */
function mergesOf(text: string, path: string): string[] {
  const lines = text.split(LINE_END).map((line) => line.trim());
  if (lines[0].startsWith("#version")) lines[0] = "";
  const wrong = lines.findIndex((line) => line !== "" && line.split(" ").length !== 2);
  if (wrong < 0) return lines.filter((line) => line !== "");
  throw new UserError(`${path}:${wrong + 1}: expected two tokens with a space between them`);
}

/** How Qwen cuts text into words before BPE: contractions, words, single digits, signs, spaces. */
const QWEN_WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" +
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
