import { attention } from "../../kernels/attention/attention.ts";
import { prefixAttention } from "../../kernels/attention/prefix-attention.ts";
import type { HeadLayout } from "../../kernels/layers/rope.ts";
import { layOutSequences, slidingWindow } from "../../kernels/layers/sequences.ts";
import { checkOperator } from "./harness.ts";

const cases: { layout: HeadLayout; lengths: number[]; tokens: number; window?: number }[] = [
  { layout: { heads: 1, keyValueHeads: 1, headDim: 2 }, lengths: [1], tokens: 1 },
  { layout: { heads: 2, keyValueHeads: 2, headDim: 6 }, lengths: [11], tokens: 11 },
  // Grouped queries, sequences packed behind each other, rows of padding at the end.
  { layout: { heads: 4, keyValueHeads: 2, headDim: 4 }, lengths: [5, 1, 9], tokens: 19 },
  { layout: { heads: 2, keyValueHeads: 1, headDim: 4 }, lengths: [5, 1, 9], tokens: 17, window: 3 },
  { layout: { heads: 1, keyValueHeads: 1, headDim: 2 }, lengths: [70, 8], tokens: 78, window: 1 },
  // A head wider than one invocation's registers take, whose last vector is half full.
  { layout: { heads: 2, keyValueHeads: 1, headDim: 134 }, lengths: [3], tokens: 4 },
];

for (const { layout, lengths, tokens, window } of cases) {
  const { heads, keyValueHeads, headDim } = layout;
  const width = (heads + 2 * keyValueHeads) * headDim;
  const rows = layOutSequences(lengths, tokens, lengths.length);
  const name = `attention, ${heads}/${keyValueHeads} heads of ${headDim}, lengths ${lengths}`;
  Deno.test(window ? `${name}, a window of ${window}` : name, () =>
    checkOperator({
      inputs: {
        qkv: { shape: [tokens, width], operand: true },
        bounds: { shape: [lengths.length, 2], data: rows.bounds },
        index: { shape: [tokens], data: rows.index },
        starts: { shape: [tokens], data: rows.starts },
        ends: { shape: [tokens], data: rows.ends },
      },
      record: ({ qkv, bounds, index, starts, ends }) => {
        const count = lengths.length;
        const sequences = { count, longest: tokens, bounds, index, starts, ends };
        return attention(qkv, window ? slidingWindow(sequences, window) : sequences, layout);
      },
      reference: ({ qkv }) => {
        const firsts = rows.starts.map((start, row) =>
          Math.max(start, row + 1 - (window ?? tokens))
        );
        return attentionReference(qkv, firsts, layout);
      },
    }));
}

// The first of these sequences is seen by all others, across workgroups of 64 rows too; or by none.
for (const [prefix, headDim] of [[7, 4], [0, 4], [7, 132]]) {
  const layout = { heads: 4, keyValueHeads: 2, headDim };
  const tokens = 90;
  const rows = layOutSequences([7, 1, 60, 9], tokens, 4);
  Deno.test(`attention after a prefix of ${prefix}, heads of ${headDim}`, () =>
    checkOperator({
      inputs: {
        qkv: { shape: [tokens, 8 * headDim], operand: true, constant: true },
        bounds: { shape: [4, 2], data: rows.bounds },
        index: { shape: [tokens], data: rows.index },
        starts: { shape: [tokens], data: rows.starts },
        ends: { shape: [tokens], data: rows.ends },
        prefix: { shape: [1], data: Uint32Array.of(prefix) },
      },
      record: ({ qkv, bounds, index, starts, ends, prefix }) =>
        prefixAttention(
          qkv,
          { count: 4, longest: tokens, bounds, index, starts, ends },
          prefix,
          layout,
        ),
      reference: ({ qkv }) => attentionReference(qkv, rows.starts, layout, prefix),
    }));
}

function attentionReference(
  qkv: Float64Array,
  starts: Uint32Array,
  { heads, keyValueHeads, headDim }: HeadLayout,
  prefix = 0,
): Float64Array {
  const width = (heads + 2 * keyValueHeads) * headDim;
  const y = new Float64Array(starts.length * heads * headDim);
  for (let row = 0; row < starts.length; row++) {
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head * keyValueHeads / heads);
      const keyAt = (other: number) => other * width + (heads + shared) * headDim;
      const seen = Array.from({ length: row + 1 }, (_, other) => other)
        .filter((other) => other >= starts[row] || other < prefix);
      const weights = seen.map((other) => {
        let score = 0;
        for (let d = 0; d < headDim; d++) {
          score += qkv[row * width + head * headDim + d] * qkv[keyAt(other) + d];
        }
        return Math.exp(score / Math.sqrt(headDim));
      });
      const total = weights.reduce((sum, weight) => sum + weight);
      weights.forEach((weight, i) => {
        const value = keyAt(seen[i]) + keyValueHeads * headDim;
        for (let d = 0; d < headDim; d++) {
          y[(row * heads + head) * headDim + d] += weight / total * qkv[value + d];
        }
      });
    }
  }
  return y;
}
