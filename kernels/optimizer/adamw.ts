import { REPORT } from "./gradient-norm.ts";
import { read, type Slice, update, vectorOf, write } from "../runtime/dispatch.ts";
import { type Graph, persistent, type Tensor } from "../runtime/graph.ts";
import { bf16Bits } from "../wgsl/bf16.ts";

/** The constants of AdamW. */
export interface AdamWOptions {
  /** Decay rate of the mean gradient. */
  readonly beta1: number;
  /** Decay rate of the mean squared gradient. */
  readonly beta2: number;
  /** Added to the root of the mean square, against division by zero. */
  readonly epsilon: number;
  /** Share of each weight that a step takes away, times the learning rate. */
  readonly weightDecay: number;
}

/** A parameter, its gradient and its two moments, f32; or the part of one that a rank updates. */
export interface Trained {
  /** The weights. */
  readonly value: Tensor;
  /** The part of `value` that is trained here; the whole when left out. */
  readonly valueSlice?: Slice;
  /** The sum of their gradients since the last step. */
  readonly gradient: Tensor;
  /** Running mean of the gradients, of the trained part alone. */
  readonly mean: Tensor;
  /** Running mean of the squared gradients, of the trained part alone. */
  readonly square: Tensor;
  /** The copy in f16 that matrix products read, in mixed precision. */
  readonly half?: Tensor;
  /** The part of `gradient` and `half` that is trained here; the whole when left out. */
  readonly slice?: Slice;
  /**
   * What becomes of the update: it is applied, and the gradient set to zero, when left out; rounded to
   * bf16, it is applied and also left in the gradient, so that other ranks can make the same one; or it
   * is only left there, for others to round and apply.
   */
  readonly update?: "applied" | "rounded" | "left";
}

/**
 * Gives a parameter a gradient, which operators will add to.
 *
 * @param value f32, of `persistent`
 */
export function giveGradient(value: Tensor): Tensor {
  return value.gradient = persistent("gradients", `${value.name}.gradient`, value.shape);
}

/**
 * Gives a parameter what training needs: a gradient, unless it has one, and two moments.
 *
 * @param value f32, of `persistent`
 */
export function trainable(value: Tensor): Trained {
  return {
    value,
    gradient: value.gradient ?? giveGradient(value),
    mean: persistent("optimizer", `${value.name}.mean`, value.shape),
    square: persistent("optimizer", `${value.name}.square`, value.shape),
    half: value.half,
  };
}

/** WGSL that computes what is left in the gradient, where anything is. */
const STEP = {
  applied: "",
  rounded: `let wanted = bitcast<vec4u>(weight - old);
      step = bitcast<vec4f>((${bf16Bits("wanted")}) << vec4u(16u));
      weight = old + step;`,
  left: "step = weight - old;",
};

/**
 * One AdamW step (Loshchilov and Hutter, arXiv 1711.05101, with PyTorch's rounding order), weight
 * decay on every parameter. Gradients are multiplied by the report's `scale`, and set to zero for the
 * next step. If the report says that the step is not finite, weights and moments stay as they are. A
 * weight that becomes NaN or infinite, in f16 where there is such a copy, sets the report's
 * `weightsFinite` to 0; where the update is only left in the gradient, before others round it.
 *
 * @param rates [4] f32, of `adamWRates`
 * @param report of `gradientNorm`
 */
export function adamW(
  graph: Graph,
  { value, valueSlice, gradient, mean, square, half, slice, update: fate = "applied" }: Trained,
  rates: Tensor,
  report: Tensor,
  { beta1, beta2, epsilon, weightDecay }: AdamWOptions,
): void {
  const vector = vectorOf(mean.size);
  const bits = vector === 1 ? "u32" : "vec4u";
  // Bits, as a compiler may assume that no number is NaN: those of 65520, which f16 rounds to
  // infinity, and of infinity. Any magnitude's bits order as it does, with NaN above all.
  const tooLarge = half ? "0x477ff000u" : "0x7f800000u";
  const isApplied = fate !== "left";
  const isLeft = fate !== "applied";
  graph.parallel(
    "adamw",
    {
      value: (isApplied ? update : read)(value, vector, valueSlice),
      gradient: update(gradient, vector, slice),
      mean: update(mean),
      square: update(square),
      ...(half && isApplied && { half: write(half, vector, slice) }),
    },
    // Everything is loaded before the first branch, so that no load waits for another.
    `let slope = gradient[i] * report[${REPORT.scale}];
    let m = mean[i] + (slope - mean[i]) * ${1 - beta1}f;
    let v = square[i] * ${beta2}f + slope * slope * ${1 - beta2}f;
    var weight = value[i];${isLeft ? "\n    let old = weight; var step = number();" : ""}
    if (report[${REPORT.finite}] == 1f) {
      weight = weight * (1f - rates[0] * ${weightDecay}f) -
        rates[1] * m / (sqrt(v) * rates[2] + ${epsilon}f);
      ${STEP[fate]}
      mean[i] = m;
      square[i] = v;
      ${isApplied ? "value[i] = weight;" : ""}
      if (any((bitcast<${bits}>(weight) & ${bits}(0x7fffffffu)) >= ${bits}(${tooLarge}))) {
        report[${REPORT.weightsFinite}] = 0f; // by any lane: all that write it write the same
      }
    }
    ${half && isApplied ? "half[i] = half_type(weight);" : ""}
    gradient[i] = ${isLeft ? "step" : "number()"};`,
    { rates: read(rates), report: update(report) },
  );
}

/**
 * The numbers of a step: learning rate, learning rate / (1 − beta1^step), 1 / sqrt(1 − beta2^step),
 * 1 / lossScale.
 *
 * @param step counted from 1
 * @param lossScale what the loss was multiplied by to keep small gradients from vanishing in f16
 */
export function adamWRates(
  learningRate: number,
  step: number,
  { beta1, beta2 }: AdamWOptions,
  lossScale = 1,
): Float32Array<ArrayBuffer> {
  return new Float32Array([
    learningRate,
    learningRate / (1 - beta1 ** step),
    1 / Math.sqrt(1 - beta2 ** step),
    1 / lossScale,
  ]);
}
