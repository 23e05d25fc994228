import { textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";

/** Any records that have a text under that name; as in Data-Juicer, none whose text is null. */
export function plain(textKey = "text"): Corpus {
  return {
    name: "plain",
    fields: [[textKey]],
    textOf: (record) => record[textKey] === null ? undefined : textField(record, textKey),
  };
}
