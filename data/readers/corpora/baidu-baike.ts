import { type CorpusRecord, recordsField, textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

/** Baidu Baike: articles of an encyclopaedia, without those that have no title or no summary. */
export const baiduBaike: Corpus = {
  name: "baidu-baike",
  fields: [["title", "summary", "sections"]],
  textOf(record) {
    if (textField(record, "title") === "" || textField(record, "summary") === "") return undefined;
    const sections = recordsField(record, "sections");
    return longEnough(
      entry(record, "summary") + sections.map((section) => entry(section, "content")).join(""),
    );
  },
};

function entry(record: CorpusRecord, content: string): string {
  return `${normalized(textField(record, "title"))}：${normalized(textField(record, content))}`;
}
