import { recordsField, textField } from "../record.ts";
import { conversation } from "./chat.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

/** MOSS 003: conversations of many turns. */
export const moss: Corpus = {
  name: "moss",
  fields: [["conversation"]],
  textOf(record, rules) {
    const turns = recordsField(record, "conversation").flatMap((turn) => [
      normalized(textField(turn, "human")),
      normalized(textField(turn, "assistant")),
    ]);
    return turns.length === 0 ? undefined : longEnough(conversation(turns, rules));
  },
};
