import { UserError } from "../../kernels/runtime/user-error.ts";

/** A source of documents whose lengths are known. */
export interface MixtureSource {
  name: string;
  /** Number of tokens of each document. */
  lengths: Iterable<number>;
  /** Number of tokens of all documents. */
  tokens: number;
  /** Its share, relative to the weights of the others; if undefined, all of it is taken. */
  weight?: number;
}

/**
 * The order in which to take documents, as the index of a source for each document: each source
 * keeps its share all along, no document is repeated, and as much is taken as the scarcest source
 * allows.
 *
 * @throws UserError if some sources have a weight and others none, or if one has no document
 */
export function drawDocuments(sources: MixtureSource[]): Generator<number> {
  return drawByShares(sources, tokensToTake(sources));
}

function* drawByShares(sources: MixtureSource[], shares: number[]): Generator<number> {
  const lengths = sources.map((source) => source.lengths[Symbol.iterator]());
  const taken = sources.map(() => 0);
  const first = shares.findIndex((share) => share > 0);
  while (first !== -1) {
    let next = first;
    for (let i = first + 1; i < sources.length; i++) {
      if (taken[i] * shares[next] < taken[next] * shares[i]) next = i;
    }
    if (taken[next] >= shares[next]) return;
    const length = lengths[next].next();
    if (length.done) return;
    taken[next] += length.value;
    yield next;
  }
}

/** @throws UserError where some sources have a weight and others have none */
export function checkWeights(sources: Pick<MixtureSource, "name" | "weight">[]): void {
  const without = sources.find(({ weight }) => weight === undefined);
  if (without && sources.some(({ weight }) => weight !== undefined)) {
    throw new UserError(`${without.name} has no weight, but other sources have: give all or none`);
  }
}

/** The number of tokens to take of each source. */
function tokensToTake(sources: MixtureSource[]): number[] {
  checkWeights(sources);
  if (sources.every(({ weight }) => weight === undefined)) {
    return sources.map(({ tokens }) => tokens);
  }
  const empty = sources.find(({ tokens }) => tokens === 0);
  if (empty !== undefined) {
    throw new UserError(
      `${empty.name} has no document, so it cannot make up its share of the mixture`,
    );
  }
  const total = sources.reduce((sum, { weight }) => sum + weight!, 0);
  const most = Math.min(...sources.map(({ tokens, weight }) => tokens * total / weight!));
  return sources.map(({ weight }) => most * weight! / total);
}

/** A table of the shares of sources, for a terminal. */
export function mixtureTable(
  tokens: Record<string, { documents: number; tokens: number }>,
): string {
  const total = Object.values(tokens).reduce((sum, source) => sum + source.tokens, 0);
  const width = Math.max(6, ...Object.keys(tokens).map((name) => name.length));
  const rows = Object.entries(tokens).toSorted(([, a], [, b]) => b.tokens - a.tokens)
    .map(([name, { documents, tokens }]) => {
      const share = tokens / Math.max(total, 1);
      return `${name.padEnd(width)} ${String(documents).padStart(10)} ${
        String(tokens).padStart(14)
      } ${(100 * share).toFixed(1).padStart(6)} % ${"█".repeat(Math.round(30 * share))}`;
    });
  const heading = `${"source".padEnd(width)} ${"documents".padStart(10)} ${"tokens".padStart(14)}`;
  return [`${heading}  share`, ...rows].join("\n");
}
