/** Operators from elementary ones give the numbers of the fused ones, and their gradients. */
import { attention } from "../../kernels/attention/attention.ts";
import { rmsNorm } from "../../kernels/layers/rms-norm.ts";
import { rope, ropeFrequencies, ropeTable } from "../../kernels/layers/rope.ts";
import { layOutSequences, type Sequences } from "../../kernels/layers/sequences.ts";
import { head, IGNORED } from "../../kernels/loss/head.ts";
import type { Tensor } from "../../kernels/runtime/graph.ts";
import { unfusedAttention } from "../../kernels/unfused/attention.ts";
import { unfusedHead } from "../../kernels/unfused/head.ts";
import { unfusedRmsNorm } from "../../kernels/unfused/rms-norm.ts";
import { unfusedRope } from "../../kernels/unfused/rope.ts";
import { checkSameOperator } from "./harness.ts";

Deno.test("unfused rms-norm", () =>
  checkSameOperator(
    { x: { shape: [16, 20] }, weight: { shape: [20], parameter: true } },
    ({ x, weight }) => rmsNorm(x, weight, 0.1),
    ({ x, weight }) => unfusedRmsNorm(x, weight, 0.1),
  ));

Deno.test("unfused rope", () => {
  const layout = { heads: 4, keyValueHeads: 2, headDim: 8 };
  return checkSameOperator(
    {
      qkv: { shape: [5, 64], operand: true },
      positions: { shape: [5], data: Uint32Array.of(0, 1, 2, 0, 8) },
      table: { shape: [9, 2, 4], data: ropeTable(9, ropeFrequencies(8, 10000)), constant: true },
    },
    ({ qkv, positions, table }) => rope(qkv, positions, table, layout),
    ({ qkv, positions, table }) => unfusedRope(qkv, positions, table, layout),
  );
});

Deno.test("unfused attention, of which two blocks fit into a binding", () => {
  const layout = { heads: 4, keyValueHeads: 2, headDim: 8 };
  const [rows, tokens] = [32, 96];
  // Sequences that fill their block or a part of it, and padding.
  const lengths = [3, 29, 32, 31];
  const { bounds, index, starts, ends } = layOutSequences(lengths, tokens, lengths.length);
  const sequencesOf = (tensors: Record<string, Tensor>): Sequences => {
    const { bounds, index, starts, ends } = tensors;
    return { count: lengths.length, longest: rows, bounds, index, starts, ends };
  };
  return checkSameOperator(
    {
      qkv: { shape: [tokens, 64], operand: true },
      bounds: { shape: [lengths.length, 2], data: bounds },
      index: { shape: [tokens], data: index },
      starts: { shape: [tokens], data: starts },
      ends: { shape: [tokens], data: ends },
    },
    ({ qkv, ...others }) => attention(qkv, sequencesOf(others), layout),
    ({ qkv, ...others }) => unfusedAttention(qkv, sequencesOf(others), layout),
    { maxBindingBytes: 2 * 4 * rows * rows * 4 },
  );
});

Deno.test("unfused head, of which 128 rows fit into a binding", () => {
  const [tokens, vocabulary, width] = [150, 20, 5];
  const labels = Uint32Array.from(
    { length: tokens },
    (_, row) => row % 5 === 3 ? IGNORED : (row * 7) % vocabulary,
  );
  const weights = Float32Array.from(labels, (_, row) => 0.1 + row % 3);
  const record = (operator: typeof head) => (tensors: Record<string, Tensor>) => {
    const { hidden, weight, bias, labels, weights } = tensors;
    return operator(hidden, { weight, bias }, labels, weights);
  };
  return checkSameOperator(
    {
      hidden: { shape: [tokens, width], operand: true },
      weight: { shape: [vocabulary, width], parameter: true, operand: true },
      bias: { shape: [vocabulary], parameter: true },
      labels: { shape: [tokens], data: labels },
      weights: { shape: [tokens], data: weights, constant: true },
    },
    record(head),
    record(unfusedHead),
    { maxBindingBytes: 128 * vocabulary * 4 },
  );
});
