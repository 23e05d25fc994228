import { textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";

const OPTIONS = ["option_a", "option_b", "option_c", "option_d", "option_e"];

/** WanJuan 1.0: web pages, news, patents, books and questions of exams, published clean. */
export const wanjuan: Corpus = {
  name: "wanjuan",
  fields: [["id", "content"], ["q_main", "std_ans"]],
  textOf(record) {
    if (!("q_main" in record)) return textField(record, "content");
    const optional = (name: string) => record[name] === undefined ? "" : textField(record, name);
    return textField(record, "q_main") + OPTIONS.map(optional).join("") +
      `标准答案：${textField(record, "std_ans")}解析：${optional("answer_detail")}`;
  },
};
