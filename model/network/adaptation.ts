import type { ModelConfig } from "./config.ts";
import type { Layer, Parameter } from "./layer.ts";

/** The update of one linear layer: scale · B · A (LoRA: Hu et al., arXiv 2106.09685). */
export interface ModuleUpdate {
  /** Rows of A, columns of B. */
  readonly rank: number;
  /** By what the product is multiplied. */
  readonly scale: number;
}

/** What is trained of a model whose own weights are frozen: updates of some linear layers. */
export interface Adaptation {
  /** By the layer's published name, such as `model.layers.0.self_attn.q_proj`. */
  readonly modules: ReadonlyMap<string, ModuleUpdate>;
  /** The share of an update's inputs that are dropped in training. */
  readonly dropout: number;
}

/** Every linear layer that can have an update: its weight by its published name, first to last. */
export function linearLayers({ layers }: ModelConfig): Map<string, Parameter> {
  return new Map(
    layers.flatMap((block, index) =>
      Object.entries(block.layers).flatMap(([name, layer]) =>
        weightsOf(layer).map((weight): [string, Parameter] => [
          moduleOf(`model.layers.${index}.${name}.${weight.name}`),
          weight,
        ])
      )
    ),
  );
}

/** The module that a weight belongs to: its name without the last part. */
export function moduleOf(parameter: string): string {
  return parameter.slice(0, parameter.lastIndexOf("."));
}

/** The two parameters of a layer's update, under PEFT's names: A, then B. */
export function updateParameters(
  module: string,
  { shape: [outputs, inputs] }: Pick<Parameter, "shape">,
  { rank }: ModuleUpdate,
): [down: Parameter, up: Parameter] {
  const name = (matrix: "A" | "B") => `base_model.model.${module}.lora_${matrix}.weight`;
  return [
    // As PEFT has it: uniform as linear layers are in PyTorch, and zeros, so that nothing changes.
    { name: name("A"), shape: [rank, inputs], initial: { bound: 1 / Math.sqrt(inputs) } },
    { name: name("B"), shape: [outputs, rank], initial: { constant: 0 } },
  ];
}

function weightsOf({ parameters, tensors }: Layer): Parameter[] {
  const linear = Object.values(tensors).flatMap((tensor) =>
    "parameters" in tensor && tensor.linear ? tensor.parameters : []
  );
  return parameters.filter((parameter) => linear.includes(parameter));
}
