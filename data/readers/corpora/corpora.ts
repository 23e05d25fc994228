import { baiduBaike } from "./baidu-baike.ts";
import { baiduQa } from "./baidu-qa.ts";
import { belle2m } from "./belle-2m.ts";
import { belle35m } from "./belle-3.5m.ts";
import type { Corpus } from "./corpus.ts";
import { firefly } from "./firefly.ts";
import { moss } from "./moss.ts";
import { plain } from "./plain.ts";
import { skypile } from "./skypile.ts";
import { starcoder } from "./starcoder.ts";
import { wanjuan } from "./wanjuan.ts";
import { wikipediaCn } from "./wikipedia-cn.ts";
import { zhihu } from "./zhihu.ts";

/**
 * Plain text and the paper's corpora. Of these only SkyPile has a field `text`. A corpus comes
 * after those that have its fields and more.
 */
export const CORPORA: readonly Corpus[] = [
  plain(),
  baiduBaike,
  baiduQa,
  zhihu,
  belle2m,
  belle35m,
  moss,
  firefly,
  starcoder,
  wanjuan,
  wikipediaCn,
  skypile,
];

/** The corpus that has such records; undefined if there is none. */
export function corpusOf(record: Record<string, unknown>): Corpus | undefined {
  return CORPORA.find(({ fields }) =>
    fields.some((names) => names.every((name) => Object.hasOwn(record, name)))
  );
}
