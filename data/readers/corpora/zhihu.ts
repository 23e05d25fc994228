import { BadRecord, type CorpusRecord, textField } from "../record.ts";
import { chat } from "./chat.ts";
import type { Corpus, TextRules } from "./corpus.ts";
import { longEnough, normalized } from "./prose.ts";

const FEWEST_UPVOTES = 100;

/** Zhihu-KOL: answers of a community that at least 100 readers agreed with. */
export const zhihu: Corpus = {
  name: "zhihu",
  fields: [["INSTRUCTION", "RESPONSE", "METADATA"]],
  textOf(record, rules) {
    if (upvotes(record, rules) < FEWEST_UPVOTES) return undefined;
    const question = normalized(textField(record, "INSTRUCTION"));
    return longEnough(chat(question, normalized(textField(record, "RESPONSE"))));
  },
};

/** The number in `赞同 4432` or `赞同 1.2 万`; the authors' script took the latter for 0. */
function upvotes(record: CorpusRecord, { asPublished }: TextRules): number {
  const written = String(metadata(record).upvotes ?? "");
  const [, number, tenThousands] = /^赞同\s*([\d.,]+)\s*(万)?/.exec(written) ?? [];
  if (number === undefined) return 0;
  if (!asPublished) return Number(number.replaceAll(",", "")) * (tenThousands ? 10_000 : 1);
  return /^赞同 \d+$/.test(written) ? Number(number) : 0;
}

function metadata(record: CorpusRecord): CorpusRecord {
  try {
    return JSON.parse(textField(record, "METADATA")) ?? {};
  } catch {
    throw new BadRecord('the field "METADATA" is not JSON');
  }
}
