import { add } from "../../../kernels/layers/add.ts";
import { linear } from "../../../kernels/layers/linear.ts";
import { fusedWidth, rope } from "../../../kernels/layers/rope.ts";
import type { ConfigReader } from "../config-reader.ts";
import { bias, operand, type SharedSizes, stacked, weight } from "../layer.ts";
import type { Attention } from "./attention.ts";
import { readRope } from "./rope.ts";

/**
 * Qwen2's attention: rotary positions, grouped queries, biases on queries, keys and values but not on
 * the output.
 *
 * @throws UserError for a choice of the config that this attention does not have
 */
export function readQwen2Attention(
  read: ConfigReader,
  { hiddenSize, maxPositions }: SharedSizes,
): Attention<"queryKeyValue" | "queryKeyValueBias" | "output" | "rope"> {
  const heads = read.count("num_attention_heads");
  const keyValueHeads = read.count("num_key_value_heads", heads);
  if (hiddenSize % heads !== 0) {
    read.refuse("hidden_size", `a multiple of num_attention_heads (${heads})`);
  }
  const headDim = hiddenSize / heads;
  if (headDim % 2 !== 0) {
    read.refuse("hidden_size", `an even number of values for each of the ${heads} attention heads`);
  }
  read.only("head_dim", [headDim]);
  if (heads % keyValueHeads !== 0) {
    read.refuse("num_key_value_heads", `a divisor of num_attention_heads (${heads})`);
  }
  read.only("use_sliding_window", [false]);
  read.only("attention_dropout", [0]);
  refuseOtherKinds(read);
  const { table, json } = readRope(read, maxPositions, headDim);

  const layout = { heads, keyValueHeads, headDim };
  const queryWidth = heads * headDim;
  const projections = Object.entries({
    q_proj: queryWidth,
    k_proj: keyValueHeads * headDim,
    v_proj: keyValueHeads * headDim,
  }).map(([name, width]) => ({
    weight: weight(`${name}.weight`, width, hiddenSize),
    bias: bias(`${name}.bias`, width),
  }));
  const output = weight("o_proj.weight", hiddenSize, queryWidth);
  const width = fusedWidth(layout);
  return {
    ...layout,
    parameters: [...projections.flatMap(({ weight, bias }) => [weight, bias]), output],
    // Queries, keys and values are one matrix product.
    tensors: {
      queryKeyValue: operand([width, hiddenSize], ...projections.map(({ weight }) => weight)),
      queryKeyValueBias: stacked([width], ...projections.map(({ bias }) => bias)),
      output: operand(output.shape, output),
      rope: table,
    },
    json: { num_attention_heads: heads, num_key_value_heads: keyValueHeads, ...json },

    flopsPerToken(sequence) {
      const scoresAndValues = 2 * queryWidth * sequence / 2;
      return 2 * (hiddenSize * (width + queryWidth) + scoresAndValues);
    },

    forward(x, residual, { queryKeyValue, queryKeyValueBias, output, rope: table }, batch, attend) {
      const projected = linear(x, queryKeyValue, queryKeyValueBias);
      const rotated = rope(projected, batch.positions, table, layout);
      return add(residual, linear(attend(rotated), output));
    },
  };
}

/** Newer files list the kind of attention of each layer; here every token attends to all before it. */
function refuseOtherKinds(read: ConfigReader): void {
  const types = read.value("layer_types");
  if (types === undefined) return;
  if (!Array.isArray(types) || types.some((type) => type !== "full_attention")) {
    read.refuse("layer_types", `"full_attention" for every layer`);
  }
  const layers = read.count("num_hidden_layers");
  if (types.length !== layers) {
    read.refuse("layer_types", `one entry for each of the ${layers} layers`);
  }
}
