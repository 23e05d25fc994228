import { textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";

/**
 * Any records with a text in that field; as in Data-Juicer, records whose text is null are left
 * out.
 */
export function plain(textKey = "text"): Corpus {
  return {
    name: "plain",
    fields: [[textKey]],
    textOf: (record) => record[textKey] === null ? undefined : textField(record, textKey),
  };
}
