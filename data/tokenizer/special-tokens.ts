import { isRecord } from "../files/is-record.ts";

/** The keys under which a tokenizer's configuration names tokens for a purpose. */
export const SPECIAL_TOKENS: readonly string[] = [
  "bos_token",
  "eos_token",
  "pad_token",
  "unk_token",
];

/** A token that `tokenizer_config.json` names for a purpose: a text, or a record with its content. */
export function specialToken(config: Record<string, unknown>, key: string): string | undefined {
  const token = config[key];
  const text = isRecord(token) ? token.content : token;
  return typeof text === "string" ? text : undefined;
}
