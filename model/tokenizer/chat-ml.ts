import type { Turn } from "../../data/instructions/conversation.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ChatMessage, ChatTemplate } from "./chat-template.ts";

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
 * Steel-LLM's own template: ChatML, of which prompts and answers are tokenized apart. As in
 * LLaMA-Factory when Steel-LLM was trained, the newline behind an answer belongs to the next prompt:
 * the model stops at the mark and never has to write it.
 */
export const chatMl: ChatTemplate = {
  takesSystem: true,
  render: renderChat,
  encodeTurns: ({ system, turns }, encoder) =>
    turns.map(({ question, answer }: Turn, turn) => ({
      prompt: encoder.encode(
        (turn === 0
          ? renderMessage({ role: "system", content: system ?? DEFAULT_SYSTEM_MESSAGE })
          : "\n") +
          renderMessage({ role: "user", content: question }) + ANSWER_OPENING,
      ),
      answer: encoder.encode(`${answer}<|im_end|>`),
    })),
};

/** The same in Jinja, for the `tokenizer_config.json` of checkpoints. */
export const CHATML_JINJA = "{% for message in messages %}" +
  "{% if loop.first and messages[0]['role'] != 'system' %}" +
  `{{ '<|im_start|>system\\n${DEFAULT_SYSTEM_MESSAGE}<|im_end|>\\n' }}{% endif %}` +
  "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
