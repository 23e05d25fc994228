import { chooseExperts } from "../../kernels/mixture-of-experts/choose-experts.ts";
import {
  combineExperts,
  dispatchToExperts,
  gateRows,
} from "../../kernels/mixture-of-experts/dispatch-and-combine.ts";
import { groupByExpert } from "../../kernels/mixture-of-experts/groups.ts";
import { groupedLinear } from "../../kernels/mixture-of-experts/grouped-linear.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { sequenceInputs } from "../../kernels/layers/sequences.ts";
import { type Arrays, checkOperator } from "./harness.ts";

const CASES = [
  { tokens: 1, experts: 3, perToken: 1, width: 4, inner: 4, normalize: false },
  { tokens: 9, experts: 5, perToken: 2, width: 6, inner: 7, normalize: true },
  // Experts with more rows than a tile, and one that nobody chooses.
  { tokens: 150, experts: 3, perToken: 2, width: 4, inner: 3, normalize: false, unloved: 1 },
];

for (const test of CASES) {
  const { tokens, experts, perToken, width, inner, unloved } = test;
  Deno.test(`${tokens} tokens, each to ${perToken} of ${experts} experts`, () => {
    // Logits in steps: small changes of x must not change the choice, so that it has a gradient.
    const steps = Float32Array.from({ length: tokens * experts }, (_, i) => {
      const [token, expert] = [Math.floor(i / experts), i % experts];
      return expert === unloved ? -9 : (7 * token + expert) % experts / 2;
    });
    return checkOperator({
      inputs: {
        logits: { shape: [tokens, experts], data: steps },
        x: { shape: [tokens, width], operand: true },
        up: { shape: [experts, inner, width], parameter: true, operand: true },
        down: { shape: [experts, width, inner], parameter: true, operand: true },
        residual: { shape: [tokens, width] },
      },
      record: ({ logits, x, up, down, residual }, graph) => {
        const sequences = sequenceInputs(graph, tokens, 1);
        const { chosen, weights } = chooseExperts(logits, sequences, test);
        const groups = groupByExpert(chosen, experts);
        const inside = groupedLinear(dispatchToExperts(x, groups), up, groups);
        return combineExperts(groupedLinear(inside, down, groups), weights, groups, residual);
      },
      reference: (inputs) => mixtureReference(inputs, test),
    });
  });
}

/** Each token by itself, in plain words. */
function mixtureReference(
  { logits, x, up, down, residual }: Arrays,
  { tokens, experts, perToken, width, inner, normalize }: typeof CASES[number],
): Float64Array {
  const y = Float64Array.from(residual);
  for (let token = 0; token < tokens; token++) {
    const powers = Array.from(logits.subarray(token * experts, (token + 1) * experts), Math.exp);
    const total = powers.reduce((sum, power) => sum + power);
    const chosen = [...powers.keys()]
      .toSorted((a, b) => powers[b] - powers[a] || a - b)
      .slice(0, perToken);
    const sum = chosen.reduce((sum, expert) => sum + powers[expert], 0);
    for (const expert of chosen) {
      const weight = powers[expert] / (normalize ? sum : total);
      for (let k = 0; k < inner; k++) {
        let between = 0;
        for (let i = 0; i < width; i++) {
          between += up[(expert * inner + k) * width + i] * x[token * width + i];
        }
        for (let i = 0; i < width; i++) {
          y[token * width + i] += weight * down[(expert * width + i) * inner + k] * between;
        }
      }
    }
  }
  return y;
}

for (const [rows, width] of [[1, 1], [5, 6], [64, 8]]) {
  Deno.test(`rows of [${rows}, ${width}] behind a gate each`, () =>
    checkOperator({
      inputs: {
        x: { shape: [rows, width], operand: true },
        exact: { shape: [rows, 3] },
        gate: { shape: [1, 3], parameter: true },
      },
      record: ({ x, exact, gate }) => gateRows(x, linear(exact, gate)),
      reference: ({ x, exact, gate }) =>
        x.map((value, i) => {
          const at = 3 * Math.floor(i / width);
          const score = gate[0] * exact[at] + gate[1] * exact[at + 1] + gate[2] * exact[at + 2];
          return value / (1 + Math.exp(-score));
        }),
    }));
}
