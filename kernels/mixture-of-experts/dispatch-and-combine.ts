import { read, update, vectorOf, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { reduceRows } from "../wgsl/row-reduction.ts";
import { type ExpertGroups, NONE } from "./groups.ts";

/**
 * The tokens in the order of their experts: y[row] = x[token of the row], 0 in padding.
 *
 * @param x [tokens, width] f32 or f16
 * @returns [rows, width], of the type of x
 */
export function dispatchToExperts(x: Tensor, groups: ExpertGroups): Tensor {
  const graph = x.graph;
  const { perToken, choiceOfRow, rowOfChoice } = groups;
  const [tokens, width] = x.shape;
  const vector = vectorOf(width);
  const columns = width / vector;
  const y = graph.tensor("rows of experts", [choiceOfRow.size, width], x.dtype);
  graph.elementwise(
    "dispatch to experts",
    y.size / vector,
    { x: read(x, vector), choice_of_row: read(choiceOfRow), y: write(y, vector) },
    `let choice = choice_of_row[i / ${columns}u];
    y[i] = y_type();
    if (choice != ${NONE}u) { y[i] = x[choice / ${perToken}u * ${columns}u + i % ${columns}u]; }`,
    vector,
  );
  graph.onBackward(y, (dy) => {
    const target = graph.gradientTarget(x);
    if (!target) return;
    const { tensor, accumulate } = target;
    graph.elementwise(
      "dispatch to experts dX",
      tokens * columns,
      {
        dy: read(dy, vector),
        row_of_choice: read(rowOfChoice),
        dx: (accumulate ? update : write)(tensor, vector),
      },
      `let first = i / ${columns}u * ${perToken}u;
    var sum = number();
    for (var choice = first; choice < first + ${perToken}u; choice++) {
      sum += number(dy[row_of_choice[choice] * ${columns}u + i % ${columns}u]);
    }
    dx[i] ${accumulate ? "+=" : "="} dx_type(sum);`,
      vector,
    );
  });
  return y;
}

/**
 * y[token] = Σ over its experts of weight · output, plus residual[token].
 *
 * @param outputs [rows, width] f32 or f16, in the order of the groups
 * @param weights [tokens, perToken] f32
 * @param residual [tokens, width] f32; nothing is added when left out
 * @returns [tokens, width] f32
 */
export function combineExperts(
  outputs: Tensor,
  weights: Tensor,
  groups: ExpertGroups,
  residual?: Tensor,
): Tensor {
  const graph = outputs.graph;
  const { perToken, choiceOfRow, rowOfChoice } = groups;
  const [tokens] = weights.shape;
  const width = outputs.shape[1];
  const vector = vectorOf(width);
  const columns = width / vector;
  const y = graph.tensor("combined experts", [tokens, width]);
  graph.elementwise(
    "combine experts",
    y.size / vector,
    {
      outputs: read(outputs, vector),
      weights: read(weights),
      row_of_choice: read(rowOfChoice),
      ...residual && { residual: read(residual, vector) },
      y: write(y, vector),
    },
    `let first = i / ${columns}u * ${perToken}u;
    var sum = ${residual ? "residual[i]" : "number()"};
    for (var choice = first; choice < first + ${perToken}u; choice++) {
      sum += weights[choice] * number(outputs[row_of_choice[choice] * ${columns}u + i % ${columns}u]);
    }
    y[i] = sum;`,
    vector,
  );
  graph.onBackward(y, (dy) => {
    if (residual) graph.passGradient(dy, residual);
    const doutputs = graph.gradientTarget(outputs);
    if (doutputs) {
      if (doutputs.accumulate) throw new Error("nothing else may read the experts' outputs");
      graph.elementwise(
        "combine experts dOutputs",
        outputs.size / vector,
        {
          dy: read(dy, vector),
          weights: read(weights),
          choice_of_row: read(choiceOfRow),
          doutputs: write(doutputs.tensor, vector),
        },
        `let choice = choice_of_row[i / ${columns}u];
    doutputs[i] = doutputs_type();
    if (choice != ${NONE}u) {
      let slope = number(dy[choice / ${perToken}u * ${columns}u + i % ${columns}u]);
      doutputs[i] = doutputs_type(weights[choice] * slope);
    }`,
        vector,
      );
    }
    const dweights = graph.gradientTarget(weights);
    if (!dweights) return;
    const assign = dweights.accumulate ? "+=" : "=";
    reduceRows(
      graph,
      "combine experts dWeights",
      {
        dy: read(dy, vector),
        outputs: read(outputs, vector),
        row_of_choice: read(rowOfChoice),
        dweights: (dweights.accumulate ? update : write)(dweights.tensor),
      },
      {
        rows: weights.size,
        width,
        vector,
        sums: {
          slope: `number(dy[row / ${perToken}u * ${columns}u + column]) * ` +
            `number(outputs[row_of_choice[row] * ${columns}u + column])`,
        },
        between: `if (lane == 0u) { dweights[row] ${assign} slope; }`,
      },
    );
  });
  return y;
}

/**
 * y[t] = sigmoid(gates[t]) · x[t]: the expert that all tokens share, as Qwen's mixtures have it.
 *
 * @param x [tokens, width] f32 or f16
 * @param gates [tokens, 1] f32
 * @returns [tokens, width], of the type of x
 */
export function gateRows(x: Tensor, gates: Tensor): Tensor {
  const graph = x.graph;
  const [tokens, width] = x.shape;
  const vector = vectorOf(width);
  const columns = width / vector;
  const y = graph.tensor("gated rows", x.shape, x.dtype);
  const sigmoid = `1f / (1f + exp(-gates[i / ${columns}u]))`;
  graph.elementwise(
    "gate rows",
    y.size / vector,
    { x: read(x, vector), gates: read(gates), y: write(y, vector) },
    `y[i] = y_type(${sigmoid} * number(x[i]));`,
    vector,
  );
  graph.onBackward(y, (dy) => {
    const dx = graph.gradientTarget(x);
    if (dx) {
      graph.elementwise(
        "gate rows dX",
        x.size / vector,
        {
          dy: read(dy, vector),
          gates: read(gates),
          dx: (dx.accumulate ? update : write)(dx.tensor, vector),
        },
        `dx[i] ${dx.accumulate ? "+=" : "="} dx_type(${sigmoid} * number(dy[i]));`,
        vector,
      );
    }
    const dgates = graph.gradientTarget(gates);
    if (!dgates) return;
    reduceRows(
      graph,
      "gate rows dGates",
      {
        x: read(x, vector),
        dy: read(dy, vector),
        gates: read(gates),
        dgates: (dgates.accumulate ? update : write)(dgates.tensor),
      },
      {
        rows: tokens,
        width,
        vector,
        sums: { slope: "number(x[at]) * number(dy[at])" },
        between: `let open = 1f / (1f + exp(-gates[row]));
  if (lane == 0u) { dgates[row] ${dgates.accumulate ? "+=" : "="} slope * open * (1f - open); }`,
      },
    );
  });
  return y;
}
