import { type Conversation, type Preference, type Turn, UnusableExample } from "./conversation.ts";
import type { Column, SetFormat } from "./set-format.ts";
import type { RawRecord } from "./raw-record.ts";
import { optionalText, refuseTools, requiredText } from "./texts.ts";

/**
 * The conversation of a record with an instruction, an input and an output.
 *
 * @throws UnusableExample if there is none
 */
export function alpacaConversation(record: RawRecord, format: SetFormat): Conversation {
  const { history, question, ...system } = questionOf(record, format);
  const answer = requiredText(record, format.columns.response, "the answer");
  return { ...system, turns: [...history, { question, answer }] };
}

/** A record with an instruction, an input, a chosen and a rejected output. */
export function alpacaPreference(record: RawRecord, format: SetFormat): Preference {
  return {
    ...questionOf(record, format),
    chosen: requiredText(record, format.columns.chosen, "the chosen answer"),
    rejected: requiredText(record, format.columns.rejected, "the rejected answer"),
  };
}

function questionOf(record: RawRecord, { columns }: SetFormat) {
  refuseTools(record, columns.tools);
  const text = (column: Column) => optionalText(record, columns[column]);
  const parts = [text("prompt"), text("query")].filter((part) => part !== "");
  if (parts.length === 0) parts.push(requiredText(record, columns.prompt, "the instruction"));
  const question = parts.join("\n");
  const history = columns.history === undefined ? [] : turnsOf(record[columns.history]);
  const system = text("system");
  return { ...(system !== "" && { system }), history, question };
}

/** Earlier turns as LLaMA-Factory writes them: [[question, answer], …]. */
function turnsOf(history: unknown): Turn[] {
  if (history === undefined || history === null || history === "") return [];
  if (!Array.isArray(history)) throw new UnusableExample("its history is not a list of turns");
  return history.map((turn, index) => {
    const [question, answer] = Array.isArray(turn) ? turn : [];
    if (typeof question !== "string" || typeof answer !== "string" || answer === "") {
      throw new UnusableExample(`turn ${index + 1} of its history is not a question and an answer`);
    }
    return { question, answer };
  });
}
