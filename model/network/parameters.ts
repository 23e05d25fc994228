import type { Gpu } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { ropeTable } from "../../kernels/layers/rope.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import type { ModelConfig } from "./config.ts";
import { parameterShapes } from "./parameter-shapes.ts";

/** A published parameter: a run of elements in one of the model's tensors. */
export interface Part {
  readonly name: string;
  readonly shape: readonly number[];
  readonly tensor: Tensor;
  /** Index of its first element. */
  readonly first: number;
}

/**
 * One transformer block. Weights that read the same input are stacked along their outputs, those of
 * all experts one behind the other, so that each is one matrix product.
 */
export interface Layer {
  readonly inputNorm: Tensor;
  /** Queries, keys, values: [(heads + 2 · keyValueHeads) · headDim, hidden] and their biases. */
  readonly queryKeyValue: Tensor;
  readonly queryKeyValueBias: Tensor;
  /** [hidden, heads · headDim]. */
  readonly attentionOutput: Tensor;
  readonly feedForwardNorm: Tensor;
  /** Soft MoE only: [hidden, experts, slotsPerExpert] and [1]. */
  readonly phi?: Tensor;
  readonly scale?: Tensor;
  /** Gate and up: [experts, 2 · inner, hidden]. */
  readonly up: Tensor;
  /** [experts, hidden, inner], or with a second gate [experts, 2 · hidden, inner]. */
  readonly down: Tensor;
}

/** Every tensor of a model, and how the published names map onto them. */
export class Parameters {
  readonly embedding: Tensor;
  readonly layers: readonly Layer[];
  readonly norm: Tensor;
  readonly head: Tensor;
  /** Cosines and sines of rope; a constant, in no checkpoint. */
  readonly ropeTable: Tensor;
  /** Trainable tensors, each once. */
  readonly tensors: readonly Tensor[];
  readonly #parts = new Map<string, Part>();

  /**
   * @param mixed keep a copy in f16 of every weight that is an operand of a matrix product
   */
  constructor(readonly config: ModelConfig, readonly mixed = false) {
    const { hiddenSize, maxPositions, headDim } = config;
    const shapes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
    const tensors: Tensor[] = [];
    const stack = (shape: number[], ...names: string[]): Tensor => {
      const tensor = persistent("weights", names[0], shape);
      let first = 0;
      for (const name of names) {
        const shape = shapes.get(name)!;
        this.#parts.set(name, { name, shape, tensor, first });
        first += sizeOf(shape);
      }
      tensors.push(tensor);
      return tensor;
    };
    this.embedding = stack([config.vocabSize, hiddenSize], "model.embed_tokens.weight");
    this.layers = Array.from(
      { length: config.layers },
      (_, layer) => declareLayer(config, `model.layers.${layer}.`, stack),
    );
    this.norm = stack([hiddenSize], "model.norm.weight");
    this.head = config.tieWordEmbeddings
      ? this.embedding
      : stack([config.vocabSize, hiddenSize], "lm_head.weight");
    this.tensors = tensors;
    if (mixed) {
      for (const tensor of this.#operands()) {
        tensor.half = persistent("half weights", `${tensor.name}.half`, tensor.shape, "f16");
      }
    }
    this.ropeTable = persistent("weights", "rope", [maxPositions, 2, headDim / 2]);
  }

  /** Number of trained values. */
  get count(): number {
    return this.tensors.reduce((sum, tensor) => sum + tensor.size, 0);
  }

  /** Every published parameter, in Hugging Face's order. */
  get parts(): Part[] {
    return parameterShapes(this.config).map(({ name }) => this.#parts.get(name)!);
  }

  /** Makes the buffers and fills each part with the numbers that `values` gives for its name. */
  async load(
    gpu: Gpu,
    values: (part: Part) => Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>,
  ): Promise<void> {
    await allocate(gpu, [...this.tensors, this.ropeTable].map(({ storage }) => storage));
    const { maxPositions, headDim, ropeTheta } = this.config;
    upload(gpu, this.ropeTable, ropeTable(maxPositions, headDim, ropeTheta));
    for (const part of this.parts) upload(gpu, part.tensor, await values(part), part.first);
    if (this.mixed) await this.#fillHalves(gpu);
  }

  #operands(): Set<Tensor> {
    // A Soft MoE works in f32: its experts see only a few slots.
    const ofLayers = this.layers.flatMap(({ queryKeyValue, attentionOutput, phi, up, down }) =>
      phi ? [queryKeyValue, attentionOutput] : [queryKeyValue, attentionOutput, up, down]
    );
    return new Set([...ofLayers, this.head]);
  }

  async #fillHalves(gpu: Gpu): Promise<void> {
    const graph = new Graph(gpu.capabilities);
    for (const value of this.#operands()) {
      graph.parallel(
        "half weights",
        { value: read(value), half: write(value.half!) },
        "half[i] = half_type(value[i]);",
      );
    }
    (await new Draft(graph).build(gpu)).run();
  }

  /** The present numbers of a published parameter. */
  read(gpu: Gpu, name: string): Promise<Float32Array<ArrayBuffer>> {
    const { tensor, first, shape } = this.#parts.get(name)!;
    return download(gpu, tensor, first, sizeOf(shape));
  }
}

function declareLayer(
  config: ModelConfig,
  prefix: string,
  stack: (shape: number[], ...names: string[]) => Tensor,
): Layer {
  const { hiddenSize, heads, keyValueHeads, headDim, innerSize } = config;
  const softMoe = config.feedForward === "softmoe_v3";
  const experts = softMoe ? config.experts : 1;
  const projections = ["q_proj", "k_proj", "v_proj"].map((name) => `${prefix}self_attn.${name}`);
  const width = (heads + 2 * keyValueHeads) * headDim;
  const ofExperts = (...names: string[]) =>
    Array.from({ length: experts }, (_, expert) => {
      const mlp = softMoe ? `${prefix}mlp.experts.${expert}` : `${prefix}mlp`;
      return names.map((name) => `${mlp}.${name}.weight`);
    }).flat();
  const senet = config.expert === "senet";
  return {
    inputNorm: stack([hiddenSize], `${prefix}input_layernorm.weight`),
    queryKeyValue: stack([width, hiddenSize], ...projections.map((name) => `${name}.weight`)),
    queryKeyValueBias: stack([width], ...projections.map((name) => `${name}.bias`)),
    attentionOutput: stack([hiddenSize, heads * headDim], `${prefix}self_attn.o_proj.weight`),
    feedForwardNorm: stack([hiddenSize], `${prefix}post_attention_layernorm.weight`),
    ...(softMoe && {
      phi: stack([hiddenSize, experts, config.slotsPerExpert], `${prefix}mlp.phi`),
      scale: stack([1], `${prefix}mlp.scale`),
    }),
    up: stack(
      [experts, 2 * innerSize, hiddenSize],
      ...ofExperts(senet ? "gate_up_proj" : "gate_proj", "up_proj"),
    ),
    down: senet
      ? stack([experts, 2 * hiddenSize, innerSize], ...ofExperts("gate_down_proj", "down_proj"))
      : stack([experts, hiddenSize, innerSize], ...ofExperts("down_proj")),
  };
}
