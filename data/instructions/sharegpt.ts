import { shown } from "../text/shown.ts";
import { type Conversation, type Preference, type Turn, UnusableExample } from "./conversation.ts";
import type { SetFormat } from "./set-format.ts";
import type { RawRecord } from "./raw-record.ts";
import { optionalText, refuseTools } from "./texts.ts";

/**
 * The conversation of a record with a list of messages.
 *
 * @throws UnusableExample if the roles do not alternate, or if there is none
 */
export function sharegptConversation(record: RawRecord, format: SetFormat): Conversation {
  const { texts, ...system } = messagesOf(record, format);
  if (texts.length === 0 || texts.length % 2 !== 0) {
    throw new UnusableExample("its last message is not the assistant's");
  }
  return { ...system, turns: inTurns(texts) };
}

/**
 * The preference of a record with messages up to a question, and a chosen and a rejected message
 * after it.
 */
export function sharegptPreference(record: RawRecord, format: SetFormat): Preference {
  const { texts, ...system } = messagesOf(record, format);
  if (texts.length % 2 !== 1) {
    throw new UnusableExample("its last message before the answers is not the user's");
  }
  const answer = (column: "chosen" | "rejected") => {
    const message = messageOf(record[format.columns[column] ?? column], format, column);
    expectRole(message.role, format.tags.assistant_tag, format, `its ${column} answer`);
    return message.text;
  };
  return {
    ...system,
    history: inTurns(texts.slice(0, -1)),
    question: texts.at(-1)!,
    chosen: answer("chosen"),
    rejected: answer("rejected"),
  };
}

function messagesOf(record: RawRecord, format: SetFormat) {
  const { columns, tags } = format;
  refuseTools(record, columns.tools);
  const name = columns.messages ?? "conversations";
  const list = record[name];
  if (!Array.isArray(list) || list.length === 0) {
    throw new UnusableExample(`its "${name}" is not a list of messages`);
  }
  const messages = list.map((message, i) => messageOf(message, format, `message ${i + 1}`));
  const first = messages[0];
  const hasSystem = tags.system_tag !== undefined && first.role === tags.system_tag;
  const system = hasSystem ? first.text : optionalText(record, columns.system);
  const texts = messages.slice(hasSystem ? 1 : 0).map(({ role, text }, i) => {
    const expected = i % 2 === 0 ? tags.user_tag : tags.assistant_tag;
    expectRole(role, expected, format, `message ${i + 1 + Number(hasSystem)}`);
    return text;
  });
  return { ...(system !== "" && { system }), texts };
}

function messageOf(message: unknown, { tags }: SetFormat, where: string) {
  const { role_tag: roleTag = "from", content_tag: contentTag = "value" } = tags;
  if (typeof message !== "object" || message === null) {
    throw new UnusableExample(`${where} is not a message`);
  }
  const values = message as RawRecord;
  const { tool_calls: calls } = values;
  if (Array.isArray(calls) ? calls.length > 0 : calls) {
    throw new UnusableExample(`${where} calls a tool, which is not trained here`);
  }
  const text = values[contentTag];
  if (typeof text !== "string") throw new UnusableExample(`${where} has no text "${contentTag}"`);
  if (text.trim() === "") throw new UnusableExample(`${where} is empty`);
  return { role: values[roleTag], text };
}

function expectRole(
  role: unknown,
  expected: string | undefined,
  { tags }: SetFormat,
  where: string,
): void {
  if (role === expected) return;
  if (role !== undefined && (role === tags.function_tag || role === tags.observation_tag)) {
    throw new UnusableExample(`${where} belongs to a tool call, which is not trained here`);
  }
  throw new UnusableExample(`${where} is from ${shown(role)}, expected "${expected}"`);
}

function inTurns(texts: readonly string[]): Turn[] {
  return Array.from(
    { length: texts.length / 2 },
    (_, i) => ({ question: texts[2 * i], answer: texts[2 * i + 1] }),
  );
}
