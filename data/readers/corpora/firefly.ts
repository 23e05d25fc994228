import { textField } from "../record.ts";
import { chat } from "./chat.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

/** Firefly: 23 kinds of tasks in Chinese, each an instruction and its answer. */
export const firefly: Corpus = {
  name: "firefly",
  fields: [["kind", "input", "target"]],
  textOf: (record) =>
    longEnough(
      chat(normalized(textField(record, "input")), normalized(textField(record, "target"))),
    ),
};
