import type { Gpu } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import type { HeadWeights } from "../../kernels/loss/head.ts";
import type { BlockWeights } from "./blocks/transformer-block.ts";
import type { ModelConfig } from "./config.ts";
import type { Constant, Layer, Parameter, StackedParameters, Weights } from "./layer.ts";
import { embeddingLayer, headLayer, parameterShapes } from "./parameter-shapes.ts";

/** A published parameter, under its whole name: a run of elements in one of the model's tensors. */
export interface Part extends Parameter {
  /** Where it lies, one behind the other with those that it is stacked with. */
  readonly tensor: Tensor;
  /** Index of its first element. */
  readonly first: number;
}

/** Every tensor of a model, and how the published parameters map onto them. */
export class Parameters {
  /** [vocabulary, hidden]. */
  readonly embedding: Tensor;
  /** Of each block, what its forward pass receives. */
  readonly layers: readonly BlockWeights[];
  /** Of the normalisation before the head. */
  readonly norm: Weights;
  /** Its weight is the embedding itself where they are tied. */
  readonly head: HeadWeights;
  readonly #tensors: Tensor[] = [];
  readonly #operands: Tensor[] = [];
  readonly #constants = new Map<Constant, Tensor>();
  readonly #parts = new Map<string, Part>();

  /**
   * Declares the tensors; no memory is taken before {@linkcode load}.
   *
   * @param mixed keep a copy in f16 of every weight that is an operand of a matrix product
   */
  constructor(readonly config: ModelConfig, readonly mixed = false) {
    this.embedding = this.#declare("model.embed_tokens.", embeddingLayer(config)).weight;
    this.layers = config.layers.map(({ layers }, index) =>
      mapValues(layers, (layer, name) => this.#declare(`model.layers.${index}.${name}.`, layer))
    );
    this.norm = this.#declare(`model.${config.normName}.`, config.norm);
    this.head = { weight: this.embedding, ...this.#declare("lm_head.", headLayer(config)) };
    if (mixed) {
      for (const tensor of this.#operands) {
        tensor.half = persistent("half weights", `${tensor.name}.half`, tensor.shape, "f16");
      }
    }
  }

  /** Trainable tensors, each once. */
  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  /** Number of trained values. */
  get count(): number {
    return this.tensors.reduce((sum, tensor) => sum + tensor.size, 0);
  }

  /** Every published parameter, in Hugging Face's order. */
  get parts(): Part[] {
    return parameterShapes(this.config).map(({ name }) => this.#parts.get(name)!);
  }

  /**
   * Makes the buffers and fills them.
   *
   * @param values gives a part's values, row-major, by the part and its place in `parts`
   * @throws UserError if the device has too little memory
   */
  async load(
    gpu: Gpu,
    values: (
      part: Part,
      index: number,
    ) => Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>,
  ): Promise<void> {
    const all = [...this.#tensors, ...this.#constants.values()];
    await allocate(gpu, all.map(({ storage }) => storage));
    for (const [constant, tensor] of this.#constants) upload(gpu, tensor, constant.values());
    for (const [index, part] of this.parts.entries()) {
      upload(gpu, part.tensor, await values(part, index), part.first);
    }
    if (this.mixed) await this.#fillHalves(gpu);
  }

  /** The present values of a published parameter. */
  read(gpu: Gpu, name: string): Promise<Float32Array<ArrayBuffer>> {
    const { tensor, first, shape } = this.#parts.get(name)!;
    return download(gpu, tensor, first, sizeOf(shape));
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { storage, half } of [...this.#tensors, ...this.#constants.values()]) {
      storage.buffer?.destroy();
      half?.storage.buffer?.destroy();
    }
  }

  #declare<Name extends string>(prefix: string, { tensors, parameters }: Layer<Name>) {
    const weights = mapValues(
      tensors,
      (tensor) => "parameters" in tensor ? this.#stack(prefix, tensor) : this.#constant(tensor),
    );
    for (const { name } of parameters) {
      if (!this.#parts.has(prefix + name)) {
        throw new Error(`${prefix}${name} is in none of its layer's tensors`);
      }
    }
    return weights;
  }

  #stack(prefix: string, { shape, parameters, operand }: StackedParameters): Tensor {
    const tensor = persistent("weights", prefix + parameters[0].name, shape);
    let first = 0;
    for (const parameter of parameters) {
      const name = prefix + parameter.name;
      this.#parts.set(name, { ...parameter, name, tensor, first });
      first += sizeOf(parameter.shape);
    }
    if (first !== tensor.size) {
      throw new Error(`${tensor.name} [${shape}] holds ${tensor.size} values, its parts ${first}`);
    }
    this.#tensors.push(tensor);
    if (operand) this.#operands.push(tensor);
    return tensor;
  }

  #constant(constant: Constant): Tensor {
    let tensor = this.#constants.get(constant);
    if (!tensor) {
      tensor = persistent("weights", constant.name, constant.shape);
      this.#constants.set(constant, tensor);
    }
    return tensor;
  }

  async #fillHalves(gpu: Gpu): Promise<void> {
    const graph = new Graph(gpu.capabilities);
    for (const value of this.#operands) {
      graph.parallel(
        "half weights",
        { value: read(value), half: write(value.half!) },
        "half[i] = half_type(value[i]);",
      );
    }
    (await new Draft(graph).build(gpu)).run();
  }
}

/** A record with the same keys, in the same order. */
function mapValues<Key extends string, From, To>(
  record: Readonly<Record<Key, From>>,
  map: (value: From, key: Key) => To,
): Record<Key, To> {
  const entries = Object.entries(record) as [Key, From][];
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value, key)])) as Record<
    Key,
    To
  >;
}
