import { BadRecord, recordsField, textField } from "../record.ts";
import { conversation } from "./chat.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

const SPEAKERS = ["human", "assistant"];

/** BELLE 3.5M: conversations of many turns. */
export const belle35m: Corpus = {
  name: "belle-3.5m",
  fields: [["conversations"]],
  textOf(record, rules) {
    const turns = recordsField(record, "conversations").map((turn, i) => {
      if (turn.from === SPEAKERS[i % 2]) return normalized(textField(turn, "value"));
      throw new BadRecord(`turn ${i + 1} is not from ${SPEAKERS[i % 2]}`);
    });
    return turns.length === 0 ? undefined : longEnough(conversation(turns, rules));
  },
};
