/** The size of an item, or of the space for items. */
export interface Extent {
  /** Number of rows, one per token. */
  readonly tokens: number;
  /** Number of sequences in the rows. */
  readonly sequences: number;
}

/** Puts every item, by its index, into the first bin that has room for it. */
export function firstFit(items: readonly Extent[], room: Extent): number[][] {
  const bins: { indices: number[]; tokens: number; sequences: number }[] = [];
  for (const [index, { tokens, sequences }] of items.entries()) {
    const fitting = bins.find((bin) =>
      bin.tokens + tokens <= room.tokens && bin.sequences + sequences <= room.sequences
    );
    const bin = fitting ?? { indices: [], tokens: 0, sequences: 0 };
    if (!fitting) bins.push(bin);
    bin.indices.push(index);
    bin.tokens += tokens;
    bin.sequences += sequences;
  }
  return bins.map(({ indices }) => indices);
}
