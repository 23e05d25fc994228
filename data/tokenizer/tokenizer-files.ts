import { isRecord } from "../files/is-record.ts";
import { formatJson, parseObject } from "../text/json.ts";
import { LINE_END } from "../text/line-ends.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { pathIn, type TextFolder } from "../files/text-folder.ts";
import { fromPieceModel } from "./from-piece-model.ts";
import { SPECIAL_TOKENS, specialToken } from "./special-tokens.ts";

/** The files that define a tokenizer. */
export interface TokenizerFiles {
  /** Where they are from, as errors name it. */
  readonly name: string;
  /** The contents of `tokenizer.json`. */
  readonly tokenizer: Record<string, unknown>;
  /**
   * The contents of `tokenizer_config.json`, and the special tokens of the older
   * `special_tokens_map.json` where it does not name them; empty if there is neither.
   */
  readonly config: Record<string, unknown>;
  /** The contents of `chat_template.jinja`, if there is one. */
  readonly chatTemplate?: string;
  /** The text of each file by its name, to be stored with a checkpoint. */
  texts(): Record<string, string>;
}

/** Every text file in which transformers keeps a part of a tokenizer. */
export const FILE_NAMES: readonly string[] = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** A SentencePiece model, as Llama's authors and others of older models publish it. */
export const PIECE_MODEL = "tokenizer.model";

/** Files of tokenizers in other formats: Qwen 1's and Mistral's. */
const OTHER_FORMATS = ["qwen.tiktoken", "tekken.json"];

/** What to do about a tokenizer that cannot be read. */
const LET_TRANSFORMERS_SAVE = "Let transformers save it as tokenizer.json: " +
  "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)";

/**
 * Reads the tokenizer of a folder: `tokenizer.json`, or the older `vocab.json` and `merges.txt` of a
 * byte-level BPE, or `tokenizer.model` of a SentencePiece BPE.
 *
 * @returns undefined if the folder has no tokenizer
 * @throws UserError if a file is not a JSON object, has a line that is no merge, or is of an older
 *   tokenizer of another kind; or if there is one in another format alone, such as `tekken.json`
 */
export async function readTokenizerFiles(folder: TextFolder): Promise<TokenizerFiles | undefined> {
  const texts: Record<string, string> = {};
  for (const name of FILE_NAMES) {
    const text = await folder.text(name);
    if (text !== undefined) texts[name] = text;
  }
  const parse = (name: string) => parseObject(texts[name] ?? "{}", pathIn(folder, name));
  const isOlder = texts["tokenizer.json"] === undefined;
  const config = { ...parse("special_tokens_map.json"), ...parse("tokenizer_config.json") };
  const chatTemplate = texts["chat_template.jinja"];
  if (isOlder && (texts["vocab.json"] === undefined || texts["merges.txt"] === undefined)) {
    const model = await pieceModel(folder);
    if (!model) {
      await refuseOtherFormats(folder);
      return undefined;
    }
    const { tokenizer, special } = fromPieceModel(model, config, pathIn(folder, PIECE_MODEL));
    texts["tokenizer.json"] = JSON.stringify(tokenizer);
    texts["tokenizer_config.json"] = formatJson({ ...special, ...parse("tokenizer_config.json") });
    return {
      ...{ name: folder.dir, tokenizer, chatTemplate, texts: () => texts },
      config: { ...special, ...config },
    };
  }
  const tokenizer = isOlder
    ? fromVocabularyAndMerges(
      {
        vocab: parse("vocab.json"),
        merges: mergesOf(texts["merges.txt"], pathIn(folder, "merges.txt")),
        added: addedTokens(parse("vocab.json"), config, parse("added_tokens.json")),
      },
      config,
      pathIn(folder, "tokenizer_config.json"),
    )
    : parse("tokenizer.json");
  return { name: folder.dir, tokenizer, config, chatTemplate, texts: () => texts };
}

/** The bytes of the folder's SentencePiece model, if it has one. */
async function pieceModel(folder: TextFolder): Promise<Uint8Array | undefined> {
  const size = await folder.size?.(PIECE_MODEL);
  if (size === undefined) return undefined;
  return new Uint8Array(await folder.bytes!(PIECE_MODEL, 0, size));
}

/** @throws UserError if the folder has a tokenizer in a format that cannot be read */
async function refuseOtherFormats(folder: TextFolder): Promise<void> {
  for (const name of OTHER_FORMATS) {
    if (await folder.text(name) === undefined) continue;
    const path = pathIn(folder, name);
    throw new UserError(
      `${path}: a tokenizer in this format cannot be read. ${LET_TRANSFORMERS_SAVE}`,
    );
  }
}

/** What the older files hold. */
interface OlderFiles {
  readonly vocab: Record<string, unknown>;
  readonly merges: string[];
  readonly added: Record<string, unknown>[];
}

/**
 * The `tokenizer.json` that transformers makes of the older files: the steps of the class that
 * `tokenizer_config.json` names around their BPE, those of Qwen2 if it names none.
 */
function fromVocabularyAndMerges(
  { vocab, merges, added }: OlderFiles,
  config: Record<string, unknown>,
  path: string,
): Record<string, unknown> {
  const name = String(config.tokenizer_class ?? "Qwen2Tokenizer").replace(/Fast$/, "");
  if (!Object.hasOwn(OLDER_STEPS, name)) {
    throw new UserError(
      `${path}: "tokenizer_class" is "${name}", of which no vocab.json and merges.txt can be read; ` +
        `known are ${Object.keys(OLDER_STEPS).join(", ")}. ${LET_TRANSFORMERS_SAVE}`,
    );
  }
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  return {
    added_tokens: added,
    ...OLDER_STEPS[name],
    post_processor: byteLevel,
    decoder: byteLevel,
    model: { type: "BPE", vocab, merges },
  };
}

/**
 * Added tokens of `tokenizer_config.json`, or of the still older `added_tokens.json`; and as in
 * transformers the special tokens that are named for a purpose, which are in the vocabulary alone.
 */
function addedTokens(
  vocab: Record<string, unknown>,
  config: Record<string, unknown>,
  older: Record<string, unknown>,
): Record<string, unknown>[] {
  const listed = isRecord(config.added_tokens_decoder)
    ? Object.entries(config.added_tokens_decoder).map(([id, token]) => ({
      ...(isRecord(token) ? token : {}),
      id: Number(id),
    }))
    : Object.entries(older).map(([content, id]) => ({ content, id, special: false }));
  const contents = new Set(listed.map((token) => "content" in token ? token.content : undefined));
  const named = SPECIAL_TOKENS.map((key) => specialToken(config, key))
    .filter((token) => token !== undefined && !contents.has(token) && Object.hasOwn(vocab, token));
  return [
    ...listed,
    ...[...new Set(named)].map((content) => ({ content, id: vocab[content!], special: true })),
  ];
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

/** GPT-2's steps before BPE: its words, which begin with a space, and no normalisation. */
const GPT2_STEPS = {
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
};

/** The steps before BPE of the tokenizers that were saved in older files, by class. */
const OLDER_STEPS: Readonly<Record<string, Record<string, unknown>>> = {
  Qwen2Tokenizer: {
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: QWEN_WORDS }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, use_regex: false },
      ],
    },
  },
  GPT2Tokenizer: GPT2_STEPS,
  CodeGenTokenizer: GPT2_STEPS,
};
