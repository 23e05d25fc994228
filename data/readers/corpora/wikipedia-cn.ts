import { textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

/** Wikipedia-cn 20230720, filtered: articles of the Chinese Wikipedia. */
export const wikipediaCn: Corpus = {
  name: "wikipedia-cn",
  fields: [["completion"]],
  textOf: (record) => longEnough(normalized(textField(record, "completion"))),
};
