/** Small tokenizers of the kinds that are on the hub, learned from a few words. */
import { BYTE_TOKENS } from "../../data/tokenizer/byte-level.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";

const TEXT = "the ice is cold and the steam is hot, then the cold ice is the lowest of the low; " +
  "Answer: A B C D\n答案：冰是冷的。 ";

const SPACE = "▁";

/** Llama 3's expression of words; Qwen's has single digits. */
const WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" +
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** What is before a text: `<s>`, as Llama and Gemma have it. */
function beginsWith(token: string, id: number) {
  return {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/**
 * SentencePiece's BPE with byte fallback: Llama 2's, which puts a space before a text, or Gemma's,
 * which does not.
 */
export function sentencePieceTokenizer(kind: "Llama 2" | "Gemma"): TokenizerFiles {
  const isLlama = kind === "Llama 2";
  const [begin, end, ...marks] = isLlama
    ? ["<s>", "</s>"]
    : ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"];
  const special = ["<unk>", begin, end, ...marks];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const words = TEXT.split(/(?= )/).map((word) => [...word.replaceAll(" ", SPACE)]);
  const characters = [...new Set([SPACE, ...words.flat()])].filter((one) => one !== "\n");
  const merges = learnMerges(words, 60);
  const vocabulary = [...special, ...bytes, ...characters, ...merges.map((pair) => pair.join(""))];
  const replace = { type: "Replace", pattern: { String: " " }, content: SPACE };
  const decoders = [
    { type: "Replace", pattern: { String: SPACE }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ];
  return filesOf(kind, {
    added_tokens: special.map((content, id) => ({ id, content, special: true })),
    normalizer: isLlama
      ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: SPACE }, replace] }
      : replace,
    pre_tokenizer: null,
    post_processor: beginsWith(begin, 1),
    decoder: {
      type: "Sequence",
      decoders: isLlama
        ? [...decoders, { type: "Strip", content: " ", start: 1, stop: 0 }]
        : decoders,
    },
    model: {
      ...{ type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true },
      vocab: idsByToken(vocabulary),
      merges: merges.map((pair) => pair.join(" ")),
    },
  }, { bos_token: begin, eos_token: end, unk_token: "<unk>", pad_token: null });
}

/** A byte-level BPE: Llama 3's, Qwen's, or GPT-2's with spaces before punctuation taken out. */
export function byteLevelTokenizer(kind: "Llama 3" | "Qwen" | "GPT-2"): TokenizerFiles {
  const special = {
    "Llama 3": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
    Qwen: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "GPT-2": ["<|endoftext|>"],
  }[kind];
  const words = TEXT.split(/(?= )/).map((word) => bytesAsTokens(word));
  const merges = learnMerges(words, 60);
  const vocabulary = [...BYTE_TOKENS, ...merges.map((pair) => pair.join(""))];
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  const split = {
    ...{ type: "Split", behavior: "Isolated", invert: false },
    pattern: { Regex: kind === "Qwen" ? WORDS.replace("{1,3}", "") : WORDS },
  };
  return filesOf(kind, {
    added_tokens: special.map((content, i) => ({
      ...{ id: vocabulary.length + i, content, special: true, normalized: false },
    })),
    normalizer: kind === "Qwen" ? { type: "NFC" } : null,
    pre_tokenizer: kind === "GPT-2"
      ? { ...byteLevel, use_regex: true }
      : { type: "Sequence", pretokenizers: [split, byteLevel] },
    post_processor: kind === "Llama 3"
      ? { type: "Sequence", processors: [byteLevel, beginsWith(special[0], vocabulary.length)] }
      : byteLevel,
    decoder: byteLevel,
    model: {
      ...{ type: "BPE", ignore_merges: kind === "Llama 3" },
      vocab: idsByToken(vocabulary),
      merges: merges.map((pair) => pair.join(" ")),
    },
  }, {
    ...{ bos_token: kind === "Llama 3" ? special[0] : null, eos_token: special.at(-1) },
    pad_token: kind === "Qwen" ? special[0] : null,
    clean_up_tokenization_spaces: kind === "GPT-2",
  });
}

function filesOf(
  kind: string,
  tokenizer: Record<string, unknown>,
  config: Record<string, unknown>,
): TokenizerFiles {
  const texts = () => ({
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": JSON.stringify(config),
  });
  return { name: `a small ${kind}`, tokenizer, config, texts };
}

function bytesAsTokens(word: string): string[] {
  return Array.from(new TextEncoder().encode(word), (byte) => BYTE_TOKENS[byte]);
}

function idsByToken(vocabulary: string[]): Record<string, number> {
  return Object.fromEntries(vocabulary.map((token, id) => [token, id]));
}

/** Byte-pair encoding as it is learned: the most frequent pair becomes a token, the first of equals. */
function learnMerges(words: string[][], count: number): [string, string][] {
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const pairs = words.flatMap((word) =>
      word.slice(1).map((right, i): [string, string] => [word[i], right])
    ).filter((pair) => !pair.includes("\n"));
    const [best] = [...Map.groupBy(pairs, (pair) => pair.join(" ")).values()]
      .toSorted((a, b) => b.length - a.length);
    if (!best) break;
    const [[left, right]] = best;
    merges.push([left, right]);
    words = words.map((word) => {
      const merged: string[] = [];
      for (const token of word) {
        if (token === right && merged.at(-1) === left) merged.splice(-1, 1, left + right);
        else merged.push(token);
      }
      return merged;
    });
  }
  return merges;
}
