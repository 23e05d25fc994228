import { textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

/** BELLE 2M: instructions and answers, one after the other. */
export const belle2m: Corpus = {
  name: "belle-2m",
  fields: [["instruction", "output"]],
  textOf: (record) =>
    longEnough(
      `${normalized(textField(record, "instruction"))}\n${normalized(textField(record, "output"))}`,
    ),
};
