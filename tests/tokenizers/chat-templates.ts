/** Chats as Python's Jinja2 renders them by the settings of transformers, in `chat-templates.json`. */
import { assertEquals, assertThrows } from "@std/assert";
import { TokenTable } from "../../data/tokenizer/token-table.ts";
import type { TokenizerFiles } from "../../data/tokenizer/tokenizer-files.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { ChatMessage } from "../../model/tokenizer/chat-template.ts";
import { JinjaTemplate, templateText } from "../../model/tokenizer/jinja-template.ts";
import chats from "./chat-templates.json" with { type: "json" };

/** The text of a conversation, or the words in which the template refuses it. */
type Rendered = string | { refused: string };

interface Chats {
  conversations: { name: string; messages: ChatMessage[]; addGenerationPrompt: boolean }[];
  /** Templates as they are on the hub, with their special tokens. */
  templates: Record<
    string,
    { template: string; tokens: Record<string, string>; texts: Rendered[] }
  >;
  /** Of templates that are in packages of npm. */
  published: Record<string, Rendered[]>;
}

export const { conversations, templates, published } = chats as unknown as Chats;

/** Compares what the template of a checkpoint makes of every conversation. */
export function compareChats(files: TokenizerFiles, expected: Rendered[]): void {
  const template = new JinjaTemplate(templateText(files)!, files, new TokenTable(files));
  for (const [i, { name, messages, addGenerationPrompt }] of conversations.entries()) {
    const render = () => template.render(messages, { addGenerationPrompt });
    const text = expected[i];
    if (typeof text === "string") assertEquals(render(), text, `${files.name}, ${name}`);
    else assertThrows(render, UserError, text.refused, `${files.name}, ${name}`);
  }
}
