import { add } from "../../kernels/layers/add.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { layOutSequences } from "../../kernels/layers/sequences.ts";
import { dispatchToLaterSegments } from "../../kernels/soft-moe/causal-soft-moe.ts";
import { combineSlots, dispatchToSlots } from "../../kernels/soft-moe/soft-moe.ts";
import { type Arrays, checkOperator, randomNumbers } from "./harness.ts";

const cases = [
  { experts: 1, slotsPerExpert: 1, width: 3, lengths: [1], tokens: 1 },
  { experts: 3, slotsPerExpert: 2, width: 7, lengths: [5, 3], tokens: 10 },
  // More slots than one invocation accumulates at a time, and an empty sequence.
  { experts: 5, slotsPerExpert: 2, width: 4, lengths: [6, 0, 2], tokens: 8 },
];

/** A layer of one linear expert each, and sequences that take a part of the tokens. */
function inputsOf({ experts, slotsPerExpert, width, lengths, tokens }: typeof cases[number]) {
  const rows = layOutSequences(lengths, tokens, lengths.length);
  return {
    x: { shape: [tokens, width] },
    weight: { shape: [width], parameter: true },
    residual: { shape: [tokens, width] },
    phi: { shape: [width, experts, slotsPerExpert], parameter: true },
    scale: { shape: [1], data: new Float32Array([1.7]), parameter: true },
    expert: { shape: [experts, width, width], parameter: true },
    bounds: { shape: [lengths.length, 2], data: rows.bounds },
    index: { shape: [tokens], data: rows.index },
    starts: { shape: [tokens], data: rows.starts },
    ends: { shape: [tokens], data: rows.ends },
  };
}

for (const { experts, slotsPerExpert, width, lengths, tokens } of cases) {
  Deno.test(`soft moe, ${experts}×${slotsPerExpert} slots of ${width}, lengths ${lengths}`, () =>
    checkOperator({
      inputs: inputsOf({ experts, slotsPerExpert, width, lengths, tokens }),
      record: ({ x, weight, residual, phi, scale, expert, bounds, index, starts, ends }) => {
        const sequences = { count: lengths.length, longest: tokens, bounds, index, starts, ends };
        const routing = dispatchToSlots({ x, weight }, phi, scale, sequences);
        return combineSlots(linear(routing.slots, expert), routing, sequences, residual);
      },
      reference: (inputs) => softMoeReference(inputs, { experts, slotsPerExpert, width, lengths }),
    }));
}

{
  // More tokens than one invocation goes through. As in a block, they are a sum of which one side is
  // f16 in mixed precision, and what the slots give is added to them.
  const shape = { experts: 2, slotsPerExpert: 1, width: 8, lengths: [66, 0, 9], tokens: 78 };
  Deno.test("soft moe of a sum, added to that sum", () =>
    checkOperator({
      inputs: {
        ...inputsOf(shape),
        residual: { shape: [shape.tokens, shape.width], operand: true },
      },
      record: ({ x, weight, residual, phi, scale, expert, bounds, index, starts, ends }) => {
        const sequences = { count: 3, longest: 66, bounds, index, starts, ends };
        const sum = add(x, residual);
        const routing = dispatchToSlots({ x: sum, weight }, phi, scale, sequences);
        return combineSlots(linear(routing.slots, expert), routing, sequences, sum);
      },
      reference: (inputs) => {
        const x = inputs.x.map((value, i) => value + inputs.residual[i]);
        return softMoeReference({ ...inputs, x, residual: x }, shape);
      },
    }));
}

Deno.test("soft moe: a token and a slot of zeros are divided by the smallest norm, not by zero", () => {
  const [experts, slotsPerExpert, width, tokens] = [2, 2, 5, 4];
  const lengths = [tokens];
  const random = randomNumbers(3);
  const x = random(tokens * width).fill(0, width, 2 * width); // token 1
  const phi = random(width * 4).map((value, at) => at % 4 === 2 ? 0 : value); // slot 2
  return checkOperator({
    inputs: {
      ...inputsOf({ experts, slotsPerExpert, width, lengths, tokens }),
      // Constants: at zero, a direction has no gradient that a difference quotient could measure.
      x: { shape: [tokens, width], data: x, constant: true },
      phi: {
        shape: [width, experts, slotsPerExpert],
        data: phi,
        parameter: true,
        constant: true,
      },
    },
    record: ({ x, weight, residual, phi, scale, expert, bounds, index, starts, ends }) => {
      const sequences = { count: 1, longest: tokens, bounds, index, starts, ends };
      const routing = dispatchToSlots({ x, weight }, phi, scale, sequences);
      return combineSlots(linear(routing.slots, expert), routing, sequences, residual);
    },
    reference: (inputs) => softMoeReference(inputs, { experts, slotsPerExpert, width, lengths }),
  });
});

{
  // An empty sequence, one that ends with a segment, one of a single segment, and padding.
  const [lengths, tokens, length] = [[7, 0, 4, 2], 15, 2];
  const [experts, slotsPerExpert, width] = [2, 2, 4];
  const inputs = inputsOf({ experts, slotsPerExpert, width, lengths, tokens });
  const axes = (count: number, axisOf: (i: number) => number) =>
    Float32Array.from({ length: count * width }, (_, i) => Number(i % width === axisOf(i / width)));
  // Logits are 0 or ±120, and exp(120) is more than f32 holds. They are exact, so that the softmax is.
  const large = {
    ...inputs,
    x: { ...inputs.x, data: axes(tokens, (token) => Math.floor(token) * 3 % 4) },
    weight: { ...inputs.weight, data: new Float32Array(width).fill(1) },
    phi: { ...inputs.phi, data: axes(width, (column) => Math.floor(column)) },
    scale: { ...inputs.scale, data: new Float32Array([120]) },
  };
  for (
    const [name, given] of [
      [`causal soft moe, lengths ${lengths} in segments of ${length}`, inputs],
      ["causal soft moe with logits that exp overflows on", large],
    ] as const
  ) {
    Deno.test(name, () =>
      checkOperator({
        inputs: given,
        record: ({ x, weight, residual, phi, scale, expert, bounds, index, starts, ends }) => {
          const sequences = { count: lengths.length, longest: tokens, bounds, index, starts, ends };
          const routing = dispatchToLaterSegments({ x, weight }, phi, scale, sequences, length);
          return combineSlots(linear(routing.slots, expert), routing, routing.spans, residual);
        },
        reference: (inputs) => {
          const y = Float64Array.from(inputs.residual);
          let start = 0;
          for (const count of lengths) {
            for (let first = 0; first < count; first += length) {
              const seen = start + Math.min(count, first + length);
              causalReference(inputs, y, [start, start + first, seen], slotsPerExpert);
            }
            start += count;
          }
          return y;
        },
      }));
  }
}

/** Adds to y what tokens `first` to `end` receive from slots of the tokens `start` to `first`. */
function causalReference(
  { x, weight, phi, scale, expert }: Arrays,
  y: Float64Array,
  [start, first, end]: readonly number[],
  slotsPerExpert: number,
): void {
  const total = 4;
  const width = phi.length / total;
  const columns = Array.from({ length: width }, (_, d) => d);
  const unit = (numbers: number[]) => numbers.map((n) => n / Math.hypot(...numbers));
  const row = (token: number) => unit(columns.map((d) => x[token * width + d] * weight[d]));
  const keys = Array.from(
    { length: total },
    (_, slot) => unit(columns.map((d) => phi[d * total + slot])).map((n) => n * scale[0]),
  );
  const dot = (a: number[], b: number[]) => a.reduce((sum, n, d) => sum + n * b[d], 0);
  const before = Array.from({ length: first - start }, (_, t) => row(start + t));
  const outputs = keys.map((key, slot) => {
    const weights = before.map((token) => Math.exp(dot(token, key)));
    const mass = weights.reduce((sum, weight) => sum + weight, 1);
    const slots = columns.map((d) =>
      before.reduce((sum, token, t) => sum + weights[t] * token[d], key[d]) / mass
    );
    const at = Math.floor(slot / slotsPerExpert) * width * width;
    return columns.map((out) => dot(slots, columns.map((d) => expert[at + out * width + d])));
  });
  for (let token = first; token < end; token++) {
    const weights = keys.map((key) => Math.exp(dot(row(token), key)));
    const mass = weights.reduce((sum, weight) => sum + weight);
    for (const d of columns) {
      y[token * width + d] += outputs.reduce((sum, out, s) => sum + weights[s] / mass * out[d], 0);
    }
  }
}

/** Each expert is one matrix here; what an expert is does not matter to the router. */
function softMoeReference(
  { x, weight, residual, phi, scale, expert }: Arrays,
  { experts, slotsPerExpert, width, lengths }: Omit<typeof cases[number], "tokens">,
): Float64Array {
  const total = experts * slotsPerExpert;
  const y = Float64Array.from(residual);
  const norm = (numbers: ArrayLike<number>) =>
    Math.max(1e-12, Math.sqrt(Array.from(numbers).reduce((sum, n) => sum + n * n, 0)));
  const columns = Array.from(
    { length: total },
    (_, slot) => Array.from({ length: width }, (_, d) => phi[d * total + slot]),
  ).map((column) => column.map((value) => scale[0] * value / norm(column)));
  let first = 0;
  for (const length of lengths) {
    const unit = Array.from({ length }, (_, token) => {
      const row = weight.map((value, d) => value * x[(first + token) * width + d]);
      return Array.from(row, (value) => value / norm(row));
    });
    const weights = unit.map((row) =>
      columns.map((column) => Math.exp(row.reduce((sum, value, d) => sum + value * column[d], 0)))
    );
    const outputs = columns.map((_, slot) => {
      const sum = weights.reduce((sum, row) => sum + row[slot], 0);
      const filled = Array.from(
        { length: width },
        (_, d) =>
          unit.reduce((value, row, token) => value + weights[token][slot] / sum * row[d], 0),
      );
      const at = Math.floor(slot / slotsPerExpert) * width * width;
      return filled.map((_, out) =>
        filled.reduce((value, number, d) => value + number * expert[at + out * width + d], 0)
      );
    });
    weights.forEach((row, token) => {
      const sum = row.reduce((a, b) => a + b);
      outputs.forEach((output, slot) =>
        output.forEach((value, d) => y[(first + token) * width + d] += row[slot] / sum * value)
      );
    });
    first += length;
  }
  return y;
}
