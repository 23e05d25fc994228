/** The attention of one layer over sequences laid end to end. */
export interface TensorCoreAttention {
  /** Tokens of all sequences together. */
  tokens: number;
  heads: number;
  /** Heads of keys and values; each serves `heads / keyValueHeads` query heads. */
  keyValueHeads: number;
  /** A multiple of 8 up to 128; padded with zeros to 32, 64 or 128 inside. */
  headDim: number;
  /** The most tokens of a sequence. */
  longest: number;
}

/** The gradients of some heads; the arrays hold all heads. */
export interface AttentionGradients extends TensorCoreAttention {
  /** The first of the key and value heads, and how many, with the query heads that share them. */
  firstSharedHead: number;
  sharedHeads: number;
}

/** A kernel's text, without extensions and bindings, and how to launch it. */
export interface AttentionKernel {
  code: string;
  /** Extensions that it needs beside those of every kernel on tensor cores. */
  extensions?: readonly string[];
  /** Workgroups to dispatch in x and y. */
  workgroups: [number, number];
}
