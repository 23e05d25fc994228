import { textField } from "../record.ts";
import { chat } from "./chat.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

/** Baidu QA: questions of a community and their best answers. */
export const baiduQa: Corpus = {
  name: "baidu-qa",
  fields: [["title", "answer"]],
  textOf: (record) =>
    longEnough(
      chat(normalized(textField(record, "title")), normalized(textField(record, "answer"))),
    ),
};
