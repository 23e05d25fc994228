/**
 * Which of several texts is most like another, exactly as Python's `thefuzz.process.extractOne`
 * (0.22, over rapidfuzz 3) decides with its defaults: authors' scripts fall back on it, and no npm
 * package ranks the same.
 */

/**
 * Index of the choice most like the query; the first of equals, and 0 for a query without letters
 * or digits.
 */
export function mostSimilar(query: string, choices: readonly string[]): number {
  let best = { index: 0, score: -1 };
  for (const [index, choice] of choices.entries()) {
    const score = weightedRatio(normalize(query), normalize(choice));
    if (score > best.score) best = { index, score };
  }
  return best.index;
}

/** Lower case, with everything but letters, digits and `_` made space; U+0080 to U+00FF dropped. */
function normalize(text: string): string {
  return text.replace(/[\u0080-\u00ff]/g, "").replace(/[^\p{L}\p{N}_]/gu, " ").trim().toLowerCase();
}

/** rapidfuzz's `WRatio`, from 0 to 100. */
function weightedRatio(a: string, b: string): number {
  const [lengthA, lengthB] = [a, b].map((text) => [...text].length);
  if (lengthA === 0 || lengthB === 0) return 0;

  const lengthRatio = Math.max(lengthA, lengthB) / Math.min(lengthA, lengthB);
  const tokenScale = 0.95;
  if (lengthRatio < 1.5) {
    return Math.max(ratio(a, b), tokenScale * tokenRatio(a, b));
  }
  const partialScale = lengthRatio < 8 ? 0.9 : 0.6;
  return Math.max(
    ratio(a, b),
    partialScale * partialRatio(a, b),
    tokenScale * partialScale * partialTokenRatio(a, b),
  );
}

/** 100 times the share of characters that a longest common subsequence keeps of both texts. */
function ratio(a: string, b: string): number {
  return 100 * similarity([...a], [...b]);
}

function similarity(a: string[], b: string[]): number {
  const total = a.length + b.length;
  return total === 0 ? 1 : 2 * longestCommonSubsequence(positions(a), a.length, b) / total;
}

/**
 * The best `ratio` of the shorter text with any stretch of the longer that is no longer than it.
 */
function partialRatio(a: string, b: string): number {
  const [shorter, longer] = [[...a], [...b]].sort((x, y) => x.length - y.length);
  if (shorter.length === 0) return longer.length === 0 ? 100 : 0;
  const best = bestStretch(shorter, longer);
  return 100 *
    (shorter.length === longer.length ? Math.max(best, bestStretch(longer, shorter)) : best);
}

function bestStretch(needle: string[], text: string[]): number {
  const where = positions(needle);
  const length = needle.length;
  let best = 0;
  // Stretches cut off by the start or the end of the text are shorter than the needle.
  for (let start = 1 - length; start < text.length; start++) {
    const stretch = text.slice(Math.max(start, 0), start + length);
    const common = longestCommonSubsequence(where, length, stretch);
    best = Math.max(best, 2 * common / (length + stretch.length));
  }
  return best;
}

/** The better of comparing sorted words and of comparing sets of words. */
function tokenRatio(a: string, b: string): number {
  const sorted = ratio(sortedWords(words(a)), sortedWords(words(b)));
  const { common, onlyA, onlyB } = wordSets(a, b);
  if (common.length > 0 && (onlyA.length === 0 || onlyB.length === 0)) return 100;

  // Words in common stand before the others in both texts, so only the others have to be compared.
  const [restA, restB] = [onlyA, onlyB].map((set) => [...sortedWords(set)]);
  const commonLength = [...common.join(" ")].length;
  const separator = commonLength === 0 ? 0 : 1;
  const [fullA, fullB] = [restA, restB].map((rest) => commonLength + separator + rest.length);
  const kept = longestCommonSubsequence(positions(restA), restA.length, restB);
  const distance = restA.length + restB.length - 2 * kept;
  const set = 100 - 100 * distance / (fullA + fullB);
  if (commonLength === 0) return Math.max(sorted, set);

  const againstCommon = [[restA, fullA], [restB, fullB]] as [string[], number][];
  const subsets = againstCommon.map(([rest, full]) =>
    100 - 100 * (separator + rest.length) / (commonLength + full)
  );
  return Math.max(sorted, set, ...subsets);
}

function partialTokenRatio(a: string, b: string): number {
  const { common, onlyA, onlyB } = wordSets(a, b);
  if (common.length > 0) return 100;
  return Math.max(
    partialRatio(sortedWords(words(a)), sortedWords(words(b))),
    partialRatio(sortedWords(onlyA), sortedWords(onlyB)),
  );
}

function words(text: string): string[] {
  return text.split(/\s+/u).filter((word) => word !== "");
}

function sortedWords(list: string[]): string {
  return list.toSorted().join(" ");
}

function wordSets(a: string, b: string) {
  const [setA, setB] = [new Set(words(a)), new Set(words(b))];
  return {
    common: [...setA.intersection(setB)],
    onlyA: [...setA.difference(setB)],
    onlyB: [...setB.difference(setA)],
  };
}

/** Where each character stands in a text, as bits. */
function positions(text: string[]): Map<string, bigint> {
  const bits = new Map<string, bigint>();
  text.forEach((character, i) => {
    bits.set(character, (bits.get(character) ?? 0n) | (1n << BigInt(i)));
  });
  return bits;
}

/**
 * Length of a longest common subsequence, a whole row of the table at a time (Hyyrö 2004,
 * "Bit-parallel LCS-length computation revisited").
 *
 * @param where {@linkcode positions} of the first text
 * @param length its number of characters
 */
function longestCommonSubsequence(
  where: Map<string, bigint>,
  length: number,
  text: string[],
): number {
  const all = (1n << BigInt(length)) - 1n;
  let open = all;
  for (const character of text) {
    const matches = open & (where.get(character) ?? 0n);
    open = ((open + matches) | (open - matches)) & all;
  }
  return length - open.toString(2).replaceAll("0", "").length;
}
