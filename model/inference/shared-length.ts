/** The length of the prefix that all sequences share; each keeps at least one token of its own. */
export function sharedLength(sequences: readonly (readonly number[])[]): number {
  const [first, ...others] = sequences;
  let length = Math.min(...sequences.map(({ length }) => length)) - 1;
  for (const other of others) {
    for (let i = 0; i < length; i++) if (other[i] !== first[i]) length = i;
  }
  return length;
}
