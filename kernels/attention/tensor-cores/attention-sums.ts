import { range } from "../../wgsl/range.ts";
import { RESULT, type WorkPartition } from "./attention-partition.ts";
import type { Side } from "./attention-sides.ts";
import type { PassingTiles } from "./attention-passing-tiles.ts";
import { FRAGMENT } from "../../runtime/fragment.ts";

/** A fragment of sums, and where it goes in the scratch. */
interface SumFragment {
  sum: string;
  at: string;
}

/** WGSL of sums [own rows, head] over the tiles that pass by, in f32. */
export class Sums {
  /** Fragments that a head takes, side by side. */
  readonly #headFragments: readonly number[];

  /** @param name of the variables, one for each fragment */
  constructor(private readonly partition: WorkPartition, private readonly name: string) {
    this.#headFragments = range(partition.paddedHeadDim / FRAGMENT.n);
  }

  /** Declares them, at zero. */
  declare(): string {
    return this.partition.rowFragments.flatMap((i) =>
      this.#headFragments.map((j) => `  var ${this.#sum(i, j)}: ${RESULT};`)
    ).join("\n");
  }

  /** Sums += fragments of own rows (`left_0_0`…), times the staged tile. */
  accumulate(left: string, tiles: PassingTiles): string {
    const { rowFragments, tileSteps } = this.partition;
    return tileSteps.flatMap((k) =>
      this.#headFragments.map((j) =>
        `    {
      let tile = ${tiles.fragment("row_major", k * FRAGMENT.k, j * FRAGMENT.n)};
${
          rowFragments.map((i) => {
            const sum = this.#sum(i, j);
            return `      ${sum} = subgroupMatrixMultiplyAccumulate(${left}_${i}_${k}, tile, ${sum});`;
          }).join("\n")
        }
    }`
      )
    ).join("\n");
  }

  /** Multiplies each row by its lane's `factor`. For the whole workgroup. */
  scale(factor: string): string {
    const { productColumns, lanesPerRow, scratchPitch } = this.partition;
    return this.#chunks().map((fragments) =>
      `      workgroupBarrier();
${fragments.map((fragment) => `      ${this.#store(fragment)}`).join("\n")}
      workgroupBarrier();
      for (var v = part; v < ${productColumns / 4}u; v += ${lanesPerRow}u) {
        scratch[own_row + v] =
          bitcast<vec4<u32>>(bitcast<vec4<f32>>(scratch[own_row + v]) * ${factor});
      }
      workgroupBarrier();
${
        fragments.map(({ sum, at }) =>
          `      ${sum} = subgroupMatrixLoad<${RESULT}, row_major>(&scratch, ${at}, ` +
          `${scratchPitch}u);`
        ).join("\n")
      }`
    ).join("\n");
  }

  /**
   * Writes them as halves into an array that is laid out like a side's, each row times its lane's
   * `factor`. For the whole workgroup.
   */
  write(array: string, { index }: Side, factor: string): string {
    const { productColumns, headVectors, lanesPerRow, layer } = this.partition;
    const perChunk = productColumns / 8;
    const chunks = this.#chunks().slice(0, Math.ceil(headVectors / perChunk));
    return chunks.map((fragments, chunk) =>
      `  workgroupBarrier();
${fragments.map((fragment) => `  ${this.#store(fragment)}`).join("\n")}
  workgroupBarrier();
  if (own_token < ${layer.tokens}u) {
    for (var v = part; v < ${Math.min(perChunk, headVectors - perChunk * chunk)}u; ` +
      `v += ${lanesPerRow}u) {
      let low = bitcast<vec4<f32>>(scratch[own_row + 2u * v]) * ${factor};
      let high = bitcast<vec4<f32>>(scratch[own_row + 2u * v + 1u]) * ${factor};
      ${array}[${index("own_token")} + ${perChunk * chunk}u + v] =
        vec4<u32>(pack2x16float(low.xy), pack2x16float(low.zw), pack2x16float(high.xy),
          pack2x16float(high.zw));
    }
  }`
    ).join("\n");
  }

  #sum(i: number, j: number): string {
    return `${this.name}_${i}_${j}`;
  }

  #store({ sum, at }: SumFragment): string {
    return `subgroupMatrixStore<row_major>(&scratch, ${at}, ${sum}, ` +
      `${this.partition.scratchPitch}u);`;
  }

  /** The sums in groups that fit into the scratch's first product. */
  #chunks(): SumFragment[][] {
    const { productColumns, paddedHeadDim, rowFragments } = this.partition;
    const perChunk = productColumns / FRAGMENT.n;
    return range(paddedHeadDim / productColumns).map((chunk) =>
      rowFragments.flatMap((i) =>
        range(perChunk).map((j) => ({
          sum: this.#sum(i, chunk * perChunk + j),
          at: this.partition.scratchAt(i, j * FRAGMENT.n / 4),
        }))
      )
    );
  }
}
