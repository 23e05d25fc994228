import { isRecord } from "../files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { specialToken } from "./special-tokens.ts";
import type { TokenTable } from "./token-table.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** The tokens that stand around and between documents. */
export interface DocumentMarks {
  /** Ids that the tokenizer puts before a text, such as that of `<s>`; Qwen's puts none. */
  readonly before: readonly number[];
  /**
   * The id that follows every document in training: that of the `eos_token`, which in Steel-LLM's
   * tokenizer is `<|im_end|>`. Where none is named, that of Qwen's or of GPT-2's mark.
   */
  readonly endOfDocument: number;
  /** The id that fills blocks: that of the `pad_token` or of `<|endoftext|>`, else `endOfDocument`. */
  readonly padding: number;
}

/**
 * The marks of a tokenizer. What is put before a text, its `post_processor` says alone, as in
 * `@huggingface/tokenizers` and transformers 5: `add_bos_token` of `tokenizer_config.json` repeats it.
 *
 * @throws UserError if it has no token that could end a document
 */
export function documentMarks(
  { name, tokenizer, config }: Pick<TokenizerFiles, "name" | "tokenizer" | "config">,
  tokens: TokenTable,
): DocumentMarks {
  const before = idsBefore(tokenizer.post_processor, tokens);
  const [named, padding] = ["eos_token", "pad_token"].map((key) => specialToken(config, key));
  const [imEnd, endOfText] = ["<|im_end|>", "<|endoftext|>"].map((token) => tokens.find(token));
  const unnamed = endOfText === undefined ? undefined : imEnd ?? endOfText;
  const endOfDocument = named === undefined ? unnamed : tokens.idOf(named);
  if (endOfDocument === undefined) {
    throw new UserError(
      `${name}: the tokenizer has neither an "eos_token" in tokenizer_config.json nor a token ` +
        `<|endoftext|>: no token could end a document`,
    );
  }
  // Some configs name a token for padding that the vocabulary lacks; any other does as well.
  const found = padding === undefined ? undefined : tokens.find(padding);
  return { before, endOfDocument, padding: found ?? endOfText ?? endOfDocument };
}

/** What a post-processor of `tokenizer.json` puts before a text. */
function idsBefore(processor: unknown, tokens: TokenTable): number[] {
  if (!isRecord(processor)) return [];
  const { type, single, processors, cls } = processor;
  if (type === "Sequence" && Array.isArray(processors)) {
    // Each works on what those before it have made.
    return processors.toReversed().flatMap((each) => idsBefore(each, tokens));
  }
  if (type === "TemplateProcessing" && Array.isArray(single)) {
    const text = single.findIndex((item) => isRecord(item) && "Sequence" in item);
    return single.slice(0, text).map(({ SpecialToken: { id } }) => tokens.idOf(id));
  }
  const isOfBert = type === "BertProcessing" || type === "RobertaProcessing";
  return isOfBert && Array.isArray(cls) ? [tokens.idOf(String(cls[0]))] : [];
}
