import type { Models } from "../operators/operator.ts";
import { ArpaModel } from "../perplexity/arpa-model.ts";
import { characterPerplexity, piecePerplexity } from "../perplexity/perplexity.ts";
import { loadSentencePiece } from "../perplexity/sentence-piece.ts";
import { encoderOf } from "../tokenizer/encoder-of.ts";
import { loadTokenizerFiles } from "../tokenizer/load-tokenizer-files.ts";

/** The files of the models that operators may need. */
export interface ModelFiles {
  /** A `tokenizer.json` of any kind, or a model's folder. */
  tokenizer?: string;
  /** A SentencePiece `.model` file by which words are counted; that of perplexity if undefined. */
  sentencePiece?: string;
  /** The model that measures perplexity. */
  perplexity?: PerplexityModel;
}

/** An n-gram model that measures perplexity. */
export interface PerplexityModel {
  /** An ARPA file. */
  arpa: string;
  /**
   * The `.model` file whose pieces are the words of the ARPA file; if undefined, words are
   * characters.
   */
  sentencePiece?: string;
}

/** Loads models. @throws UserError if one cannot be read */
export async function loadModels(
  { tokenizer, perplexity, sentencePiece = perplexity?.sentencePiece }: ModelFiles,
): Promise<Models> {
  const models: Models = {};
  if (tokenizer !== undefined) {
    models.tokenizer = encoderOf(await loadTokenizerFiles(tokenizer));
  }
  if (perplexity !== undefined) models.perplexity = await loadPerplexity(perplexity);
  if (sentencePiece !== undefined) models.piecesOf = await loadSentencePiece(sentencePiece);
  return models;
}

async function loadPerplexity(
  { arpa, sentencePiece }: PerplexityModel,
): Promise<(text: string) => number> {
  const model = await ArpaModel.read(arpa);
  if (sentencePiece === undefined) return (text) => characterPerplexity(model, text);
  const encode = await loadSentencePiece(sentencePiece);
  return (text) => piecePerplexity(model, encode, text);
}
