import type { TokenTable } from "../../data/tokenizer/token-table.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { chatMl, CHATML_JINJA } from "./chat-ml.ts";
import type { ChatTemplate } from "./chat-template.ts";
import { JinjaTemplate, templateText } from "./jinja-template.ts";

/**
 * The chat template of a checkpoint: its own, in Jinja; or ChatML, if it has none, or the same, and its
 * tokenizer knows ChatML's marks. Undefined if it has none and does not.
 */
export function chatTemplateOf(
  files: TokenizerFiles,
  tokens: TokenTable,
): ChatTemplate | undefined {
  const text = templateText(files);
  if (text !== undefined && text !== CHATML_JINJA) return new JinjaTemplate(text, files, tokens);
  const [start, end] = ["<|im_start|>", "<|im_end|>"].map((token) => tokens.find(token));
  return start === undefined || end === undefined ? undefined : { ...chatMl, endOfTurn: end };
}
