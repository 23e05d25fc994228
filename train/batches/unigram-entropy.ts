/**
 * Entropy of the targets' frequencies, in nats per token: the loss of a model that knows only how
 * often each token occurs.
 *
 * @param blocks int32 [seq + 1] each; a block's first token is no target
 * @param padding the token that fills up blocks; it is no target
 */
export function unigramEntropy(blocks: readonly Int32Array[], padding?: number): number {
  const counts = new Map<number, number>();
  let total = 0;
  for (const block of blocks) {
    for (const id of block.subarray(1)) {
      if (id === padding) continue;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      total++;
    }
  }
  return -[...counts.values()].reduce((sum, n) => sum + n / total * Math.log(n / total), 0);
}
