import { textField } from "../record.ts";
import type { Corpus } from "./corpus.ts";

/** SkyPile-150B: Chinese web pages, published clean. Its records look like any with a text. */
export const skypile: Corpus = {
  name: "skypile",
  fields: [],
  textOf: (record) => textField(record, "text"),
};
