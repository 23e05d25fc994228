import { add } from "../../kernels/layers/add.ts";
import { linear } from "../../kernels/layers/linear.ts";
import { rope } from "../../kernels/layers/rope.ts";
import { unfusedAttention } from "../../kernels/unfused/attention.ts";
import { unfusedHead } from "../../kernels/unfused/head.ts";
import { unfusedRmsNorm } from "../../kernels/unfused/rms-norm.ts";
import { unfusedRope } from "../../kernels/unfused/rope.ts";
import type { Attention } from "../../model/network/attention/attention.ts";
import { preNormBlock } from "../../model/network/blocks/pre-norm-block.ts";
import type { ModelConfig } from "../../model/network/config.ts";
import { ConfigReader } from "../../model/network/config-reader.ts";
import type { Norm } from "../../model/network/norm/norm.ts";
import { readEpsilon } from "../../model/network/norm/rms-norm.ts";
import { NextTokenObjective } from "../step/objective.ts";

/** The operators that can be made of elementary ones: those of the paper's Table 2. */
export const FUSED_OPERATORS = ["attention", "rope", "norm", "loss"] as const;

/** An operator that can be made of elementary ones. */
export type FusedOperator = typeof FUSED_OPERATORS[number];

/**
 * Steel-LLM with some operators made of elementary ones. It has the same parameters, and computes the
 * same numbers up to rounding.
 *
 * @param config of Steel-LLM, or of another Qwen
 */
export function unfusedModel(
  config: ModelConfig,
  unfused: ReadonlySet<FusedOperator>,
): ModelConfig {
  const norm = unfused.has("norm") ? unfusedNorm(config) : config.norm;
  const layers = config.layers.map(({ attention, feedForward }) =>
    preNormBlock(unfusedAttentionLayer(attention, unfused), feedForward, norm)
  );
  return { ...config, layers, norm };
}

/** The mean of −ln p over all labels, with the head and its cross-entropy fused or not. */
export function objectiveOf(unfused: ReadonlySet<FusedOperator>): NextTokenObjective {
  return new NextTokenObjective(unfused.has("loss") ? unfusedHead : undefined);
}

function unfusedNorm({ norm, source }: ModelConfig): Norm {
  const epsilon = readEpsilon(new ConfigReader(source, "the model"));
  return {
    ...norm,
    forward: (x, { weight }, dtype) => unfusedRmsNorm(x, weight, epsilon, dtype),
  };
}

function unfusedAttentionLayer(layer: Attention, unfused: ReadonlySet<FusedOperator>): Attention {
  const turn = unfused.has("rope") ? unfusedRope : rope;
  return {
    ...layer,
    forward(x, residual, weights, { positions, sequences }, attend) {
      const projected = linear(x, weights.queryKeyValue, weights.queryKeyValueBias);
      const rotated = turn(projected, positions, weights.rope, layer);
      const attended = unfused.has("attention")
        ? unfusedAttention(rotated, sequences, layer)
        : attend(rotated);
      const y = linear(attended, weights.output);
      return residual ? add(residual, y) : y;
    },
  };
}
