import { punctuationNormalizationMapper } from "../operators/punctuation-normalization-mapper.ts";
import type { Mapper } from "../operators/operator.ts";
import { splitLines, STRIPPED } from "../operators/unicode.ts";
import type { ArpaModel } from "./arpa-model.ts";
import type { PieceEncoder } from "./sentence-piece.ts";

const { map: normalizePunctuation } = punctuationNormalizationMapper.create({}, {}) as Mapper;

/** The character that stands for white space. */
const SPACE = "▁";

/**
 * The characters of a text, as this project's character model has them. The text is normalised like
 * CC-Net's (Wenzek et al. 2020, arXiv 1911.00359): lower case, no accents, every digit 0, ASCII
 * punctuation.
 */
export function charactersOf(text: string): string[] {
  const plain = text.toLowerCase().normalize("NFD").replace(/\p{Mn}/gu, "").replace(
    /\p{Nd}/gu,
    "0",
  );
  return [...normalizePunctuation(plain).replace(/\s+/gu, SPACE)];
}

/** Perplexity of a text by characters, its end among them; one decimal, as Data-Juicer rounds. */
export function characterPerplexity(model: ArpaModel, text: string): number {
  const characters = charactersOf(text);
  return perplexityOf(model.score(characters), characters.length + 1);
}

/**
 * Perplexity of a text by its pieces, as Data-Juicer measures it with KenLM: pieces are words, and
 * where the pieces have line breaks, each line is a text with an end of its own.
 */
export function piecePerplexity(model: ArpaModel, encode: PieceEncoder, text: string): number {
  let sum = 0;
  let words = 0;
  for (const line of splitLines(encode(text).join(" "))) {
    // Python splits a KenLM's line of bytes at fewer characters than the text that is counted.
    sum += model.score(line.split(/[\t-\r ]+/).filter(isNotEmpty));
    words += line.split(PYTHON_SPACE).filter(isNotEmpty).length + 1;
  }
  return words === 0 ? 0 : perplexityOf(sum, words);
}

const PYTHON_SPACE = new RegExp(`[${STRIPPED}]+`);

function isNotEmpty(word: string): boolean {
  return word !== "";
}

function perplexityOf(logProbability: number, words: number): number {
  return Number((10 ** (-logProbability / words)).toFixed(1));
}
