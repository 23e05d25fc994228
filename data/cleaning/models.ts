import { Tokenizer as AnyTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../files/error-message.ts";
import { readText } from "../files/text-file.ts";
import { BytePairEncoder, type TokenizerJson } from "../tokenizing/byte-pair-encoder.ts";
import type { Models } from "../operators/operator.ts";
import { ArpaModel } from "../perplexity/arpa-model.ts";
import { characterPerplexity, piecePerplexity } from "../perplexity/perplexity.ts";
import { loadSentencePiece } from "../perplexity/sentence-piece.ts";
import type { Tokenizer } from "../tokenizer.ts";

/** Where the models are that operators may ask for. */
export interface ModelFiles {
  /** A `tokenizer.json` of any kind. */
  tokenizer?: string;
  /** A SentencePiece `.model` file, by which words are counted; perplexity's if undefined. */
  sentencePiece?: string;
  /** By what perplexity is measured. */
  perplexity?: PerplexityModel;
}

export interface PerplexityModel {
  /** An ARPA file. */
  arpa: string;
  /** The `.model` file whose pieces the ARPA file is about; characters if undefined. */
  sentencePiece?: string;
}

/** Throws UserError if one cannot be read. */
export async function loadModels(
  { tokenizer, perplexity, sentencePiece = perplexity?.sentencePiece }: ModelFiles,
): Promise<Models> {
  const models: Models = {};
  if (tokenizer !== undefined) models.tokenizer = await loadTokenizer(tokenizer);
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

/** The fast encoder where the tokenizer is of its kind, else Hugging Face's. */
async function loadTokenizer(path: string): Promise<Tokenizer> {
  const text = await readText(path);
  try {
    const json = JSON.parse(text);
    try {
      return new BytePairEncoder(json as TokenizerJson);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
    const tokenizer = new AnyTokenizer(json, {});
    return { encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids };
  } catch (error) {
    const reason = messageOf(error);
    throw new UserError(`the tokenizer ${path} cannot be used: ${reason}`);
  }
}
