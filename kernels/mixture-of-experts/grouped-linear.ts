import { registerKernel } from "../matmul/matmul-registers.ts";
import { tiledKernel } from "../matmul/matmul-tiled.ts";
import type { MatmulKernel } from "../matmul/product.ts";
import { type Binding, read, update, write } from "../runtime/dispatch.ts";
import type { Tensor } from "../runtime/graph.ts";
import { type ExpertGroups, NONE, TILE } from "./groups.ts";

/** The operands of every tile: rows of its own, and its expert's weights. */
const OF_TILE = (k: number) =>
  `let expert = expert_of_tile[group.z];
  if (expert == ${NONE}u) { return; }
  let batch_a = group.z;
  let batch_b = expert;
  let batch_c = group.z;
  let first_k = 0u;
  let end_k = ${k}u;
  `;

/** The operands of every expert's gradient: sums over its rows. */
const OF_EXPERT = `let batch_a = 0u;
  let batch_b = 0u;
  let batch_c = group.z;
  let first_k = bounds[2u * group.z];
  let end_k = bounds[2u * group.z + 1u];
  `;

/**
 * y[row] = x[row] · weight[expert of the row]ᵀ. Rows of tiles without an expert hold anything; nobody
 * reads them.
 *
 * @param x [rows, in] f32 or f16, in the order of the groups
 * @param weight [experts, out, in] f32, with a copy in f16 where x is f16
 * @returns [rows, out], of the type of x
 */
export function groupedLinear(x: Tensor, weight: Tensor, groups: ExpertGroups): Tensor {
  const graph = x.graph;
  const { experts, expertOfTile, bounds } = groups;
  const [, outputs, inputs] = weight.shape;
  const rows = x.size / inputs;
  const tiles = expertOfTile.size;
  const operand = x.dtype === "f16" ? weight.half ?? weight : weight;
  const y = graph.tensor(`${weight.name}.output`, [rows, outputs], x.dtype);
  const label = `grouped linear ${outputs}×${inputs}`;
  // The same choice as for plain products; there are no tensor cores here.
  const kernelOf = graph.capabilities.cpu ? registerKernel : tiledKernel;
  const ofTiles = { batch: tiles, m: TILE, bias: false } as const;
  const launch = (
    label: string,
    { code, workgroups, vectors }: MatmulKernel,
    [a, b, c]: readonly [Tensor, Tensor, Binding["tensor"]],
    accumulate: boolean,
    side: Record<string, Binding>,
  ) =>
    graph.dispatch(
      label,
      {
        a: read(a, vectors.a),
        b: read(b, vectors.b),
        c: (accumulate ? update : write)(c, vectors.c),
        ...side,
      },
      code,
      workgroups,
    );
  const ofTile = { expert_of_tile: read(expertOfTile) };
  launch(
    label,
    kernelOf(
      { ...ofTiles, layout: "nt", n: outputs, k: inputs, accumulate: false },
      OF_TILE(inputs),
    ),
    [x, operand, y],
    false,
    ofTile,
  );

  graph.onBackward(y, (dy) => {
    const dw = graph.gradientTarget(weight);
    if (dw) {
      const { accumulate } = dw;
      const product = { layout: "tn", batch: experts, m: outputs, n: inputs, k: rows } as const;
      launch(
        `${label} dW`,
        kernelOf({ ...product, accumulate, bias: false }, OF_EXPERT),
        [dy, x, dw.tensor],
        accumulate,
        { bounds: read(bounds) },
      );
    }
    const dx = graph.gradientTarget(x);
    if (dx) {
      const { accumulate } = dx;
      launch(
        `${label} dX`,
        kernelOf(
          { ...ofTiles, layout: "nn", n: inputs, k: outputs, accumulate },
          OF_TILE(outputs),
        ),
        [dy, operand, dx.tensor],
        accumulate,
        ofTile,
      );
    }
  });
  return y;
}
