/**
 * What every layer of the network defines: its parameters with their published names, how these are
 * stacked into the tensors that kernels read, and how their values start. A definition is data and a
 * forward pass; it holds no numbers. `Parameters` makes the tensors that it asks for.
 *
 * @module
 */
import type { Tensor } from "../../kernels/runtime/graph.ts";

/**
 * Values at the start of training: all equal, normal with mean 0 and this standard deviation, or
 * uniform between −bound and bound.
 */
export type InitialValues =
  | { readonly constant: number }
  | { readonly deviation: number }
  | { readonly bound: number };

/** One trainable parameter as checkpoints publish it. */
export interface Parameter {
  /** Its name in checkpoints: the whole name, or in a layer's definition what follows its prefix. */
  readonly name: string;
  /** Row-major; linear weights are [out, in]. */
  readonly shape: readonly number[];
  /** Its values at the start of training. */
  readonly initial: InitialValues;
}

/** A tensor that kernels read: one or more published parameters, one behind the other. */
export interface StackedParameters {
  /** As kernels see it; as many values as the parameters have together. */
  readonly shape: readonly number[];
  /** What it holds, in this order. */
  readonly parameters: readonly Parameter[];
  /** Whether it is an operand of a matrix product, which mixed precision reads from an f16 copy. */
  readonly operand: boolean;
  /** Whether `linear` multiplies rows with it, and nothing else reads it: it may have an adapter. */
  readonly linear?: boolean;
}

/** A tensor of fixed numbers, in no checkpoint. Layers that hold the same object share one tensor. */
export interface Constant {
  /** What plans call it. */
  readonly name: string;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Computes its numbers. */
  values(): Float32Array<ArrayBuffer>;
}

/** What a layer's forward pass receives: each of its tensors under its own name. */
export type Weights<Name extends string = string> = Readonly<Record<Name, Tensor>>;

/** The definition of a layer; `Name` are the names by which its forward pass knows its tensors. */
export interface Layer<Name extends string = string> {
  /** In the order of Hugging Face's checkpoints; names without the layer's own prefix. */
  readonly parameters: readonly Parameter[];
  /** Every parameter is in exactly one of these. */
  readonly tensors: Readonly<Record<Name, StackedParameters | Constant>>;
}

/** The sizes that all layers of a model share. */
export interface SharedSizes {
  /** Width of a token's hidden state. */
  readonly hiddenSize: number;
  /** The longest sequence, in tokens. */
  readonly maxPositions: number;
}

/** Standard deviation of the weights of linear layers and embeddings, as in GPT-2 and Qwen. */
const WEIGHT_DEVIATION = 0.02;

/** A weight [outputs, inputs] of a linear layer, or a table of embeddings. */
export function weight(name: string, outputs: number, inputs: number): Parameter {
  return { name, shape: [outputs, inputs], initial: { deviation: WEIGHT_DEVIATION } };
}

/** A bias [outputs] of a linear layer. */
export function bias(name: string, outputs: number): Parameter {
  return { name, shape: [outputs], initial: { constant: 0 } };
}

/** A tensor of parameters that kernels read in f32. */
export function stacked(
  shape: readonly number[],
  ...parameters: readonly Parameter[]
): StackedParameters {
  return { shape, parameters, operand: false };
}

/** A tensor of parameters that matrix products read, in f16 in mixed precision. */
export function operand(
  shape: readonly number[],
  ...parameters: readonly Parameter[]
): StackedParameters {
  return { shape, parameters, operand: true };
}

/** The same tensor as the weight of a linear layer. */
export function ofLinear(tensor: StackedParameters): StackedParameters {
  return { ...tensor, linear: true };
}

/** The same parameters under a prefix. */
export function withPrefix(prefix: string, parameters: readonly Parameter[]): Parameter[] {
  return parameters.map((parameter) => ({ ...parameter, name: prefix + parameter.name }));
}
