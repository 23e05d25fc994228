import type { TextRules } from "./corpus.ts";

const SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n";
const END = "<|im_end|>\n";

/**
 * A question and its answer in Qwen's chat template; packing adds the token that closes the answer.
 */
export function chat(question: string, answer: string): string {
  return `${SYSTEM}<|im_start|>user\n${question}${END}<|im_start|>assistant\n${answer}`;
}

/** A conversation of user and assistant in Qwen's chat template; packing adds the last token. */
export function conversation(turns: string[], { asPublished }: TextRules): string {
  const text = turns.map((turn, i) =>
    `<|im_start|>${i % 2 === 0 ? "user" : "assistant"}\n${turn}${END}`
  ).join("");
  return SYSTEM + (asPublished ? stripLikePython(text) : text.slice(0, -END.length));
}

/** Python's `rstrip("<|im_end|>\n")`, which removes any of these characters, not only the token. */
function stripLikePython(text: string): string {
  return text.replace(/[<|im_end>\n]+$/, "");
}
