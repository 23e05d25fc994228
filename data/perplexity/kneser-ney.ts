/**
 * Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999, doi:10.1006/csla.1999.0128),
 * as KenLM's `lmplz --discount_fallback` estimates it, written as an ARPA file.
 */

export const BEGIN = "<s>";
export const END = "</s>";
export const UNKNOWN = "<unk>";

/** Discounts where there are too few n-grams to estimate them, as KenLM's. */
const FALLBACK_DISCOUNTS = [0, 0.5, 1, 1.5];

/** Counts of n-grams, each written as its tokens between spaces. */
type Counts = Map<string, number>;

/**
 * Estimates an n-gram model.
 *
 * @param texts each as tokens, none of which holds white space
 * @param order of the longest n-grams, at least 2
 * @param pruned n-grams of order 3 and above that occur no more often are left out
 * @returns the model as an ARPA file
 */
export function trainNgrams(texts: Iterable<string[]>, order: number, pruned = 0): string {
  const counts = adjustedCounts(countNgrams(texts, order), order);
  const discounts = counts.map(discountsOf);
  // Those of order 1 and 2 are all kept; discounts are estimated before anything is left out.
  for (let n = order; n >= 3; n--) prune(counts[n - 1], pruned, counts[n]);

  const contexts = counts.map((ngrams, i) => contextsOf(ngrams, discounts[i]));
  const probabilities: Counts[] = [];
  const words = counts[0].size + 1; // the unknown word too
  for (let n = 1; n <= order; n++) {
    const own: Counts = new Map();
    for (const [ngram, count] of counts[n - 1]) {
      const { total, left } = contexts[n - 1].get(contextOf(ngram))!;
      const lower = n === 1 ? 1 / words : probabilities[n - 2].get(suffixOf(ngram))!;
      own.set(ngram, (count - discount(discounts[n - 1], count)) / total + left * lower);
    }
    if (n === 1) own.set(UNKNOWN, contexts[0].get("")!.left / words);
    probabilities.push(own);
  }
  return arpaOf(probabilities, contexts);
}

/** Raw counts of every order; n-grams of lower orders only where they begin a text. */
function countNgrams(texts: Iterable<string[]>, order: number): Counts[] {
  const counts: Counts[] = Array.from({ length: order }, () => new Map());
  for (const text of texts) {
    const tokens = [BEGIN, ...text, END];
    for (let end = 1; end < tokens.length; end++) {
      const n = Math.min(order, end + 1);
      increase(counts[n - 1], tokens.slice(end - n + 1, end + 1).join(" "));
    }
  }
  return counts;
}

/** Below the highest order, an n-gram counts once for each different token before it. */
function adjustedCounts(counts: Counts[], order: number): Counts[] {
  for (let n = order; n > 1; n--) {
    for (const ngram of counts[n - 1].keys()) {
      const suffix = suffixOf(ngram);
      increase(counts[n - 2], suffix);
    }
  }
  return counts;
}

function increase(counts: Counts, ngram: string): void {
  counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
}

function contextOf(ngram: string): string {
  return ngram.slice(0, Math.max(ngram.lastIndexOf(" "), 0));
}

function suffixOf(ngram: string): string {
  return ngram.slice(ngram.indexOf(" ") + 1);
}

/** The discounts of n-grams that occur once, twice and more often. */
function discountsOf(counts: Counts): number[] {
  const occurring = [0, 0, 0, 0, 0];
  for (const count of counts.values()) if (count <= 4) occurring[count]++;
  if (occurring.slice(1).some((number) => number === 0)) return FALLBACK_DISCOUNTS;
  const y = occurring[1] / (occurring[1] + 2 * occurring[2]);
  const discounts = [1, 2, 3].map((k) => k - (k + 1) * y * occurring[k + 1] / occurring[k]);
  const sound = discounts.every((value, i) => value >= 0 && value <= i + 1);
  return sound ? [0, ...discounts] : FALLBACK_DISCOUNTS;
}

function discount(discounts: number[], count: number): number {
  return discounts[Math.min(count, 3)];
}

/** N-grams of a context: the sum of their counts, and the share that is left to lower orders. */
function contextsOf(counts: Counts, discounts: number[]) {
  const contexts = new Map<string, { total: number; left: number }>();
  for (const [ngram, count] of counts) {
    const context = contextOf(ngram);
    const sums = contexts.get(context) ?? { total: 0, left: 0 };
    sums.total += count;
    sums.left += discount(discounts, count);
    contexts.set(context, sums);
  }
  for (const sums of contexts.values()) sums.left /= sums.total;
  return contexts;
}

/** Drops rare n-grams, except those that a longer n-gram begins or ends with. */
function prune(counts: Counts, pruned: number, longer: Counts = new Map()): void {
  const needed = new Set<string>();
  for (const ngram of longer.keys()) needed.add(contextOf(ngram)).add(suffixOf(ngram));
  for (const [ngram, count] of counts) {
    if (count <= pruned && !needed.has(ngram)) counts.delete(ngram);
  }
}

function arpaOf(
  probabilities: Counts[],
  contexts: Map<string, { total: number; left: number }>[],
): string {
  probabilities[0].set(BEGIN, 1); // it is never predicted, but has a back-off
  const lines = ["\\data\\"];
  probabilities.forEach((ngrams, i) => lines.push(`ngram ${i + 1}=${ngrams.size}`));
  probabilities.forEach((ngrams, i) => {
    lines.push("", `\\${i + 1}-grams:`);
    for (const [ngram, probability] of ngrams) {
      const backOff = contexts[i + 1]?.get(ngram)?.left;
      const log = ngram === BEGIN ? "-99" : Math.log10(probability).toFixed(6);
      lines.push(`${log}\t${ngram}${backOff ? `\t${Math.log10(backOff).toFixed(6)}` : ""}`);
    }
  });
  lines.push("", "\\end\\", "");
  return lines.join("\n");
}
