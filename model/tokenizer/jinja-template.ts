import { Template } from "@huggingface/jinja";
import { isRecord } from "../../data/files/is-record.ts";
import type { Conversation } from "../../data/instructions/conversation.ts";
import type { EncodedTurn } from "../../data/instructions/encode.ts";
import { messageOf } from "../../data/text/error-message.ts";
import { SPECIAL_TOKENS, specialToken } from "../../data/tokenizer/special-tokens.ts";
import type { Encoder } from "../../data/tokenizer/encoder.ts";
import type { TokenTable } from "../../data/tokenizer/token-table.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ChatMessage, ChatTemplate } from "./chat-template.ts";

/** Where an answer lies in the text of a conversation: behind its prompt, up to its last mark. */
interface Span {
  readonly start: number;
  readonly end: number;
  /** Whether the template writes a special token behind it. */
  readonly isMarked: boolean;
}

/** The text of a checkpoint's own template, if it has one. */
export function templateText({ config, chatTemplate }: TokenizerFiles): string | undefined {
  if (chatTemplate !== undefined) return chatTemplate;
  const template = config.chat_template;
  // There may be several: for tools, for retrieval, and one for chats.
  const chosen = Array.isArray(template)
    ? template.find((each) => isRecord(each) && each.name === "default")?.template
    : template;
  return typeof chosen === "string" ? chosen : undefined;
}

/**
 * A checkpoint's own chat template, in Jinja. It is a program, but one that can only read what it is
 * given and write text.
 */
export class JinjaTemplate implements ChatTemplate {
  readonly endOfTurn?: number;
  readonly takesSystem: boolean;
  readonly #template: Template;
  /** What transformers gives templates beside the messages: special tokens by name. */
  readonly #names: Record<string, unknown>;
  readonly #special: readonly string[];
  /** The id of the `eos_token`. */
  readonly #end?: number;

  /** @throws UserError for a template that is not Jinja */
  constructor(text: string, private readonly files: TokenizerFiles, tokens: TokenTable) {
    try {
      this.#template = new Template(text);
    } catch (error) {
      throw new UserError(`${files.name}: the chat template is not Jinja: ${messageOf(error)}`);
    }
    this.#names = Object.fromEntries(
      SPECIAL_TOKENS.map((key) => [key, specialToken(files.config, key)]),
    );
    const end = specialToken(files.config, "eos_token");
    this.#end = end === undefined ? undefined : tokens.find(end);
    const added = [...tokens.added.values()];
    this.#special = added.filter(({ special }) => special).map(({ content }) => content);
    const [system, question, answer]: ChatMessage[] = [
      { role: "system", content: "system" },
      { role: "user", content: "question" },
      { role: "assistant", content: "answer" },
    ];
    this.takesSystem = this.#rendered([system, question]) !== undefined;
    const mark = this.#markBehind(answer.content, this.#rendered([question, answer]));
    this.endOfTurn = mark === undefined ? undefined : tokens.find(mark);
  }

  render(
    messages: readonly ChatMessage[],
    { addGenerationPrompt = false }: { addGenerationPrompt?: boolean } = {},
  ): string {
    try {
      return this.#template.render({
        ...this.#names,
        messages,
        tools: null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (error) {
      throw new UserError(
        `${this.files.name}: the checkpoint's chat template does not take this chat: ` +
          messageOf(error),
      );
    }
  }

  /**
   * The text of the whole conversation is tokenized once, as transformers would, and cut where its
   * answers lie. Where a token reaches over such a border, the pieces are tokenized apart. If the
   * template writes no mark behind answers, as MiniCPM's, the `eos_token` closes the last one: a model
   * that never saw it would not stop.
   */
  encodeTurns({ system, turns }: Conversation, encoder: Encoder): EncodedTurn[] {
    const messages: ChatMessage[] = system === undefined
      ? []
      : [{ role: "system", content: system }];
    const prompts = turns.map(({ question, answer }) => {
      messages.push({ role: "user", content: question });
      const prompt = this.render(messages, { addGenerationPrompt: true });
      messages.push({ role: "assistant", content: answer });
      return prompt;
    });
    const text = this.render(messages);
    const answers = turns.map(({ answer }, turn) =>
      this.#answerSpan(text, prompts[turn], prompts[turn + 1] ?? text, answer)
    );
    const borders = answers.flatMap(({ start, end }) => [start, end]);
    const pieces = cutAtBorders(text, borders, encoder);
    if (!answers.at(-1)!.isMarked && this.#end !== undefined) pieces.at(-1)!.push(this.#end);
    return turns.map((_, turn) => ({ prompt: pieces[2 * turn], answer: pieces[2 * turn + 1] }));
  }

  /** @param next the text up to the next answer, or the whole text */
  #answerSpan(text: string, prompt: string, next: string, answer: string): Span {
    const content = text.indexOf(answer.trim(), prompt.length);
    if (!text.startsWith(prompt) || content < 0 || content > next.length) {
      throw new UserError(
        `${this.files.name}: the checkpoint's chat template writes the turns of a conversation in ` +
          `another way once others follow: where its answers lie cannot be told`,
      );
    }
    const behind = content + answer.trim().length;
    const mark = this.#firstSpecial(text, behind, next.length);
    return { start: prompt.length, end: mark?.end ?? behind, isMarked: mark !== undefined };
  }

  #firstSpecial(
    text: string,
    from: number,
    to: number,
  ): { token: string; end: number } | undefined {
    const found = this.#special
      .map((token) => ({ token, at: text.indexOf(token, from) }))
      .filter(({ token, at }) => at >= 0 && at + token.length <= to)
      .toSorted((a, b) => a.at - b.at || b.token.length - a.token.length);
    return found[0] && { token: found[0].token, end: found[0].at + found[0].token.length };
  }

  /** The first special token behind an answer in a text. */
  #markBehind(answer: string, text: string | undefined): string | undefined {
    if (text === undefined) return undefined; // what the template refuses is said to the one who chats
    return this.#firstSpecial(text, text.lastIndexOf(answer) + answer.length, text.length)?.token;
  }

  /** A chat as text; undefined if the template does not take it. */
  #rendered(messages: readonly ChatMessage[]): string | undefined {
    try {
      return this.render(messages);
    } catch {
      return undefined;
    }
  }
}

/** The ids of a text's pieces that end at borders, ascending. */
function cutAtBorders(text: string, borders: readonly number[], encoder: Encoder): number[][] {
  const whole = encoder.encode(text.slice(0, borders.at(-1)));
  const beginnings = borders.map((border) => encoder.encode(text.slice(0, border)));
  const isCut = beginnings.every((ids) => ids.every((id, i) => id === whole[i]));
  return borders.map((border, i) =>
    isCut
      ? whole.slice(beginnings[i - 1]?.length ?? 0, beginnings[i].length)
      : encoder.encode(text.slice(borders[i - 1] ?? 0, border))
  );
}
