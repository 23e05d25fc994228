import { isRecord } from "../files/is-record.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { TokenTable } from "./token-table.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

/** The tokens that stand around and between documents. */
export interface DocumentMarks {
  /** Ids that the tokenizer puts before a text, such as that of `<s>`; Qwen's puts none. */
  readonly before: readonly number[];
  /**
   * The id that follows every document in training: that of `<|im_end|>` where the tokenizer has
   * Qwen's marks, as Steel-LLM has it, else that of its `eos_token`.
   */
  readonly endOfDocument: number;
  /** The id that fills blocks: that of `<|endoftext|>` or of the `pad_token`, else `endOfDocument`. */
  readonly padding: number;
}

/**
 * The marks of a tokenizer, of which `tokenizer.json` says what is put around a text.
 *
 * @throws UserError if it has no token that could end a document
 */
export function documentMarks(
  { name, tokenizer, config }: Pick<TokenizerFiles, "name" | "tokenizer" | "config">,
  tokens: TokenTable,
): DocumentMarks {
  const before = idsBefore(tokenizer.post_processor, tokens);
  const named = (key: string) => {
    const token = specialToken(config, key);
    return token === undefined ? undefined : tokens.idOf(token);
  };
  const [imEnd, endOfText] = ["<|im_end|>", "<|endoftext|>"].map((token) => tokens.find(token));
  if (imEnd !== undefined && endOfText !== undefined) {
    return { before, endOfDocument: imEnd, padding: endOfText };
  }
  const endOfDocument = named("eos_token");
  if (endOfDocument === undefined) {
    throw new UserError(
      `${name}: the tokenizer has neither <|im_end|> and <|endoftext|>, nor an "eos_token" in ` +
        `tokenizer_config.json: no token could end a document`,
    );
  }
  return { before, endOfDocument, padding: named("pad_token") ?? endOfDocument };
}

/** A token that `tokenizer_config.json` names for a purpose: a text, or a record with its content. */
export function specialToken(config: Record<string, unknown>, key: string): string | undefined {
  const token = config[key];
  const text = isRecord(token) ? token.content : token;
  return typeof text === "string" ? text : undefined;
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
