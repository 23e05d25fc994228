import type { Tensor } from "../../../kernels/runtime/graph.ts";
import type { Layer, Weights } from "../layer.ts";

/** The definition of a normalisation. */
export interface Norm<Name extends string = string> extends Layer<Name> {
  /**
   * Records the normalisation, row by row.
   *
   * @param x [tokens, hidden] f32
   * @param dtype of the result; the type that matrix products take when left out
   * @returns [tokens, hidden]
   */
  forward(x: Tensor, weights: Weights<Name>, dtype?: "f32" | "f16"): Tensor;
  /**
   * By what it multiplies columns, [hidden] f32, if it does nothing else but divide each row by a
   * number; undefined otherwise.
   */
  columns?(weights: Weights<Name>): Tensor | undefined;
}
