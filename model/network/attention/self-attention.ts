import { add } from "../../../kernels/layers/add.ts";
import { clip } from "../../../kernels/layers/clip.ts";
import { normalizeHeads } from "../../../kernels/layers/head-norm.ts";
import { linear } from "../../../kernels/layers/linear.ts";
import { fusedWidth, type HeadLayout, rope } from "../../../kernels/layers/rope.ts";
import {
  bias,
  type Constant,
  ofLinear,
  operand,
  type Parameter,
  type SharedSizes,
  stacked,
  weight,
} from "../layer.ts";
import type { ConfigReader } from "../config-reader.ts";
import type { Attention } from "./attention.ts";
import { readHeads } from "./heads.ts";
import { readRope } from "./rope.ts";

/** What an attention layer is made of; see {@linkcode selfAttention}. */
export interface SelfAttention extends HeadLayout {
  /** Width of a token's hidden state. */
  readonly hiddenSize: number;
  /** The table of rope, of `readRope`. */
  readonly rope: Constant;
  /** Which projections have biases; none when left out. */
  readonly biases?: { readonly queryKeyValue?: boolean; readonly output?: boolean };
  /** The published name of the last projection. */
  readonly outputName?: string;
  /** RMSNorm of queries and keys before rope: of each head by itself, or of all heads together. */
  readonly headNorms?: { readonly of: "each head" | "all heads"; readonly epsilon: number };
  /** The largest size of a number of queries, keys and values; larger ones are clipped. */
  readonly clip?: number;
  /** How many tokens a token attends to, itself and those right before it; all when left out. */
  readonly window?: number;
}

/** What every attention layer has. */
type SelfAttentionSizes = HeadLayout & Pick<SelfAttention, "hiddenSize" | "rope">;

/**
 * What configs say of attention alike: its heads and its rope.
 *
 * @throws UserError for numbers that do not fit together, and for dropout
 */
export function readSelfAttention(read: ConfigReader, sizes: SharedSizes): SelfAttentionSizes {
  read.only("attention_dropout", [0]);
  const heads = readHeads(read, sizes);
  const { hiddenSize } = sizes;
  return { ...heads, hiddenSize, rope: readRope(read, { ...sizes, ...heads }) };
}

/**
 * Attention of several heads with rotary positions and grouped queries (Ainslie et al., arXiv
 * 2305.13245), as Llama has it and its successors vary it.
 */
export function selfAttention(options: SelfAttention): Attention {
  const { heads, keyValueHeads, headDim, hiddenSize, biases = {}, headNorms, window } = options;
  const layout = { heads, keyValueHeads, headDim };
  const queryWidth = heads * headDim;
  const keyValueWidth = keyValueHeads * headDim;
  const width = fusedWidth(layout);
  const projections = Object.entries({
    q_proj: queryWidth,
    k_proj: keyValueWidth,
    v_proj: keyValueWidth,
  }).map(([name, width]) => ({
    weight: weight(`${name}.weight`, width, hiddenSize),
    bias: bias(`${name}.bias`, width),
  }));
  const outputName = options.outputName ?? "o_proj";
  const output = weight(`${outputName}.weight`, hiddenSize, queryWidth);
  const outputBias = bias(`${outputName}.bias`, hiddenSize);
  const norm = (name: string, width: number): Parameter => ({
    name: `${name}.weight`,
    shape: [headNorms?.of === "each head" ? headDim : width],
    initial: { constant: 1 },
  });
  const norms = [norm("q_norm", queryWidth), norm("k_norm", keyValueWidth)];

  const tensors = {
    // Queries, keys and values are one matrix product.
    queryKeyValue: ofLinear(
      operand([width, hiddenSize], ...projections.map(({ weight }) => weight)),
    ),
    ...biases.queryKeyValue && {
      queryKeyValueBias: stacked([width], ...projections.map(({ bias }) => bias)),
    },
    output: ofLinear(operand(output.shape, output)),
    ...biases.output && { outputBias: stacked(outputBias.shape, outputBias) },
    ...headNorms && {
      queryNorm: stacked(norms[0].shape, norms[0]),
      keyNorm: stacked(norms[1].shape, norms[1]),
    },
    rope: options.rope,
  };

  return {
    ...layout,
    window,
    parameters: [
      ...projections.flatMap(({ weight, bias }) =>
        biases.queryKeyValue ? [weight, bias] : [weight]
      ),
      output,
      ...biases.output ? [outputBias] : [],
      ...headNorms ? norms : [],
    ],
    tensors,

    flopsPerToken(sequence) {
      const most = Math.min(window ?? sequence, sequence);
      const seen = most * (1 - most / (2 * sequence));
      return 2 * (hiddenSize * (width + queryWidth) + 2 * queryWidth * seen);
    },

    forward(x, residual, weights, batch, attend) {
      let projected = linear(
        x,
        weights.queryKeyValue,
        biases.queryKeyValue ? weights.queryKeyValueBias : undefined,
      );
      if (options.clip !== undefined) projected = clip(projected, options.clip);
      if (headNorms) {
        const { queryNorm, keyNorm } = weights;
        projected = normalizeHeads(projected, queryNorm, keyNorm, layout, headNorms.epsilon);
      }
      const attended = attend(rope(projected, batch.positions, weights.rope, layout));
      const y = linear(attended, weights.output, biases.output ? weights.outputBias : undefined);
      return residual ? add(residual, y) : y;
    },
  };
}
