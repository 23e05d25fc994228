import type { Gpu } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { AdaptedWeight, type LowRankPart } from "../../kernels/layers/low-rank.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import type { HeadWeights } from "../../kernels/loss/head.ts";
import { type Adaptation, linearLayers, moduleOf, updateParameters } from "./adaptation.ts";
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

/** Prefix of the table of embeddings. */
const EMBEDDING = "model.embed_tokens.";

/** Gives a part's values, row-major, by the part and its place among those that are loaded. */
export type PartValues = (
  part: Part,
  index: number,
) => Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>;

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
  /** [1] u32, with an adaptation: what its dropout drops. The host writes it. */
  readonly dropoutSeed?: Tensor;
  readonly #tensors: Tensor[] = [];
  readonly #updates: Tensor[] = [];
  readonly #salts: Tensor[] = [];
  readonly #constants = new Map<Constant, Tensor>();
  readonly #parts = new Map<string, Part>();

  /**
   * Declares the tensors; no memory is taken before {@linkcode load}.
   *
   * @param mixed keep a copy in f16 of every weight that is an operand of a matrix product
   * @param adaptation updates to train; all that is published is then frozen, and a weight that has
   *   a copy in f16 exists as this copy alone
   * @throws UserError if some experts of a layer have an update and others have another or none
   */
  constructor(
    readonly config: ModelConfig,
    readonly mixed = false,
    readonly adaptation?: Adaptation,
  ) {
    if (adaptation) this.dropoutSeed = persistent("inputs", "dropout seed", [1], "u32");
    this.embedding = this.#declare(EMBEDDING, embeddingLayer(config)).weight;
    this.layers = config.layers.map(({ layers }, index) =>
      mapValues(layers, (layer, name) => this.#declare(`model.layers.${index}.${name}.`, layer))
    );
    this.norm = this.#declare(`model.${config.normName}.`, config.norm);
    this.head = { weight: this.embedding, ...this.#declare("lm_head.", headLayer(config)) };
  }

  /** Trainable tensors, each once: those of the adaptation, if there is one. */
  get tensors(): readonly Tensor[] {
    return this.adaptation ? this.#updates : this.#tensors;
  }

  /** Number of trained values. */
  get count(): number {
    return this.tensors.reduce((sum, tensor) => sum + tensor.size, 0);
  }

  /** Such as `1,382,020 parameters`, or `8,192 trained parameters beside 1,382,020 frozen ones`. */
  get summary(): string {
    const count = this.count.toLocaleString("en");
    if (!this.adaptation) return `${count} parameters`;
    const frozen = this.#tensors.reduce((sum, tensor) => sum + tensor.size, 0);
    return `${count} trained parameters beside ${frozen.toLocaleString("en")} frozen ones`;
  }

  /** Every published parameter, in Hugging Face's order. */
  get parts(): Part[] {
    return parameterShapes(this.config).map(({ name }) => this.#parts.get(name)!);
  }

  /** The parameters of the adaptation, under PEFT's names, in the order of the layers. */
  get updateParts(): Part[] {
    return [...linearLayers(this.config)].flatMap(([module, weight]) => {
      const update = this.adaptation?.modules.get(module);
      if (!update) return [];
      return updateParameters(module, weight, update).map(({ name }) => this.#parts.get(name)!);
    });
  }

  /** What is trained: the parameters of the adaptation, or all that are published. */
  get trainedParts(): Part[] {
    return this.adaptation ? this.updateParts : this.parts;
  }

  /**
   * Makes the buffers of what is published and fills them.
   *
   * @param values gives a part's values, by the part and its place in `parts`
   * @throws UserError if the device has too little memory
   */
  async load(gpu: Gpu, values: PartValues): Promise<void> {
    await allocate(gpu, [...this.#constants.values()].map(({ storage }) => storage));
    for (const [constant, tensor] of this.#constants) upload(gpu, tensor, constant.values());
    await this.#fill(gpu, this.#tensors, this.parts, values);
  }

  /**
   * Makes the buffers of the adaptation and fills them.
   *
   * @param values gives a part's values, by the part and its place in `updateParts`
   * @throws UserError if the device has too little memory
   */
  async loadUpdates(gpu: Gpu, values: PartValues): Promise<void> {
    const lasting = [...this.#salts, ...this.dropoutSeed ? [this.dropoutSeed] : []];
    await allocate(gpu, lasting.map(({ storage }) => storage));
    this.#salts.forEach((salt, index) => upload(gpu, salt, Uint32Array.of(index + 1)));
    await this.#fill(gpu, this.#updates, this.updateParts, values);
  }

  async #fill(gpu: Gpu, tensors: readonly Tensor[], parts: readonly Part[], values: PartValues) {
    await allocate(gpu, tensors.map(({ storage }) => storage));
    for (const [index, part] of parts.entries()) {
      const numbers = await values(part, index);
      const { tensor, first } = part;
      upload(gpu, tensor, tensor.dtype === "f16" ? new Float16Array(numbers) : numbers, first);
    }
    await fillHalves(gpu, tensors.filter(({ half }) => half));
  }

  /** The present values of a published parameter. */
  read(gpu: Gpu, name: string): Promise<Float32Array<ArrayBuffer>> {
    const { tensor, first, shape } = this.#parts.get(name)!;
    return download(gpu, tensor, first, sizeOf(shape));
  }

  /** Frees the buffers. */
  destroy(): void {
    const all = [
      ...this.#tensors,
      ...this.#updates,
      ...this.#salts,
      ...this.#constants.values(),
      ...this.dropoutSeed ? [this.dropoutSeed] : [],
    ];
    for (const { storage, half } of all) {
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

  #stack(prefix: string, stack: StackedParameters): Tensor {
    const { shape, parameters, operand, linear } = stack;
    const isHalf = this.mixed && operand;
    // Embeddings are read in f32 too, where they are the head's as well.
    const frozen = isHalf && this.adaptation !== undefined && prefix !== EMBEDDING;
    const tensor = frozen
      ? persistent("half weights", prefix + parameters[0].name, shape, "f16")
      : persistent("weights", prefix + parameters[0].name, shape);
    if (isHalf && !frozen) tensor.half = halfOf(tensor);
    this.#tensors.push(tensor);
    this.#place(prefix, parameters, tensor);
    return linear ? this.#adapted(prefix, stack, tensor) : tensor;
  }

  /** Notes where the parameters lie that a tensor holds. */
  #place(prefix: string, parameters: readonly Parameter[], tensor: Tensor): void {
    let first = 0;
    for (const parameter of parameters) {
      const name = prefix + parameter.name;
      this.#parts.set(name, { ...parameter, name, tensor, first });
      first += sizeOf(parameter.shape);
    }
    if (first !== tensor.size) {
      throw new Error(
        `${tensor.name} [${tensor.shape}] holds ${tensor.size} values, its parts ${first}`,
      );
    }
  }

  /** The weight of a linear layer, or of several, with the updates that the adaptation has for it. */
  #adapted(prefix: string, { parameters }: StackedParameters, weight: Tensor): Tensor {
    const [outputs, inputs] = weight.shape.slice(-2);
    const batch = weight.size / (outputs * inputs);
    const each = Array.from({ length: batch }, (): LowRankPart[] => []);
    const own: [down: Parameter, up: Parameter][] = [];
    let row = 0;
    for (const parameter of parameters) {
      const module = moduleOf(prefix + parameter.name);
      const update = this.adaptation?.modules.get(module);
      const [rows] = parameter.shape;
      if (update) {
        each[Math.floor(row / outputs)].push({ firstRow: row % outputs, rows, ...update });
        own.push(updateParameters(module, parameter, update));
      }
      row += rows;
    }
    if (own.length === 0) return weight;
    const [parts] = each;
    if (each.some((other) => JSON.stringify(other) !== JSON.stringify(parts))) {
      throw new UserError(
        `${
          moduleOf(weight.name)
        } and its like are computed together: all experts of a layer must ` +
          `have an update of the same rank, or none of them`,
      );
    }
    const rank = parts.reduce((sum, { rank }) => sum + rank, 0);
    const values = parts.reduce((sum, { rows, rank }) => sum + rows * rank, 0);
    const down = persistent("weights", `${weight.name}.down`, [batch, rank, inputs]);
    if (weight.dtype === "f16" || weight.half) down.half = halfOf(down);
    const up = persistent("weights", `${weight.name}.up`, [batch, values]);
    this.#updates.push(down, up);
    this.#place("", own.map(([down]) => down), down);
    this.#place("", own.map(([, up]) => up), up);
    const salt = persistent("inputs", `${weight.name}.salt`, [1], "u32");
    this.#salts.push(salt);
    const { dropout: rate } = this.adaptation!;
    const dropout = rate > 0 ? { rate, seed: this.dropoutSeed!, salt } : undefined;
    const adapted = new AdaptedWeight(weight, { down, up, parts, dropout });
    adapted.half = weight.half;
    return adapted;
  }

  #constant(constant: Constant): Tensor {
    let tensor = this.#constants.get(constant);
    if (!tensor) {
      tensor = persistent("weights", constant.name, constant.shape);
      this.#constants.set(constant, tensor);
    }
    return tensor;
  }
}

/** The copy in f16 that matrix products read. */
function halfOf(tensor: Tensor): Tensor {
  return persistent("half weights", `${tensor.name}.half`, tensor.shape, "f16");
}

async function fillHalves(gpu: Gpu, tensors: readonly Tensor[]): Promise<void> {
  if (tensors.length === 0) return;
  const graph = new Graph(gpu.capabilities);
  for (const value of tensors) {
    graph.parallel(
      "half weights",
      { value: read(value), half: write(value.half!) },
      "half[i] = half_type(value[i]);",
    );
  }
  (await new Draft(graph).build(gpu)).run();
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
