import { UserError } from "../../kernels/runtime/user-error.ts";

/** A message of a chat. */
export interface ChatMessage {
  /** Who says it. */
  role: "system" | "user" | "assistant";
  /** What is said. */
  content: string;
}

const ROLES: readonly string[] = ["system", "user", "assistant"];

/** The system message of a chat that does not begin with one of its own. */
const DEFAULT_SYSTEM_MESSAGE = "You are a helpful assistant.";

const ANSWER_OPENING = "<|im_start|>assistant\n";

/**
 * A chat as text in Qwen's ChatML: each message as `<|im_start|>ROLE\nCONTENT<|im_end|>\n`, led by
 * the default system message unless the first one is a system message.
 *
 * @param options.addGenerationPrompt end with the opening of the assistant's answer
 * @throws UserError for another role
 */
export function renderChat(
  messages: readonly ChatMessage[],
  options: { addGenerationPrompt?: boolean } = {},
): string {
  const turns = messages[0]?.role === "system"
    ? messages
    : [{ role: "system", content: DEFAULT_SYSTEM_MESSAGE }, ...messages];
  return turns.map(renderMessage).join("") + (options.addGenerationPrompt ? ANSWER_OPENING : "");
}

function renderMessage({ role, content }: { role: string; content: string }): string {
  if (ROLES.includes(role)) return `<|im_start|>${role}\n${content}<|im_end|>\n`;
  throw new UserError(`a chat message has the role "${role}"; expected ${ROLES.join(", ")}`);
}

/**
 * The same chat in pieces, for training: the prompt up to an answer, and the answer with the mark
 * that closes it. As in LLaMA-Factory when Steel-LLM was trained, the newline behind an answer
 * belongs to the next prompt: the model stops at the mark and never has to write it.
 */
export const chatRenderer = {
  /** @param turn 0 for the first, which the system message leads */
  prompt(question: string, turn: number, system = DEFAULT_SYSTEM_MESSAGE): string {
    const before = turn === 0 ? renderMessage({ role: "system", content: system }) : "\n";
    return before + renderMessage({ role: "user", content: question }) + ANSWER_OPENING;
  },
  answer(text: string): string {
    return `${text}<|im_end|>`;
  },
};

/** The same in Jinja, for the `tokenizer_config.json` of checkpoints. */
export const CHAT_TEMPLATE = "{% for message in messages %}" +
  "{% if loop.first and messages[0]['role'] != 'system' %}" +
  `{{ '<|im_start|>system\\n${DEFAULT_SYSTEM_MESSAGE}<|im_end|>\\n' }}{% endif %}` +
  "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
