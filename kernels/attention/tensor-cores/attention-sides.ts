import type { TensorCoreAttention } from "./attention-kernel.ts";

/** Rows of one kind, a head of a token each: their name, the array they lie in, and where. */
export interface Side {
  readonly name: string;
  readonly array: string;
  /** Where a head of a token begins, in vectors of eight halves, given WGSL for the token. */
  readonly index: (token: string) => string;
}

/**
 * Where the sides of a layer's attention lie. Queries, keys and values are those of the fused
 * projection; gradients of the outputs are laid out like the outputs. Queries and outputs are of
 * `head`, keys and values of `shared_head`, which must be in scope.
 */
export function attentionSides({ heads, keyValueHeads, headDim }: TensorCoreAttention) {
  const headVectors = headDim / 8;
  const tokenVectors = (heads + 2 * keyValueHeads) * headVectors;
  const projected = (name: string, head: string): Side => ({
    name,
    array: "qkv",
    index: (token) => `${token} * ${tokenVectors}u + ${head} * ${headVectors}u`,
  });
  const outputs: Side = {
    name: "outputs",
    array: "output_gradient",
    index: (token) => `${token} * ${heads * headVectors}u + head * ${headVectors}u`,
  };
  return {
    queries: projected("queries", "head"),
    keys: projected("keys", `(${heads}u + shared_head)`),
    values: projected("values", `(${heads + keyValueHeads}u + shared_head)`),
    outputs,
  };
}
