import type { Capabilities } from "./device.ts";
import {
  type Binding,
  type Dispatch,
  dispatchOf,
  type DispatchOptions,
  numberType,
  read,
  update,
  type Vector,
  vectorOf,
  write,
} from "./dispatch.ts";
import { type Arena, type DType, sizeOf, type Storage, storageBytes, View } from "./storage.ts";

/**
 * A view that operators compute with: it knows the graph that records its operators, and its
 * gradient. It holds no numbers until a plan is built.
 */
export class Tensor extends View {
  /** Where the gradient of this tensor is gathered. Parameters own one for ever. */
  gradient?: Tensor;
  /**
   * In mixed precision, the copy in f16 that matrix products read: of a parameter, or of a gradient
   * that {@linkcode Graph.halfGradient} was asked for.
   */
  half?: Tensor;
  /** Whether an operator below will read the gradient of this f32 activation in f16. */
  passesHalfGradient: boolean = false;
  /**
   * Index on the tape of the operator that made this tensor: -1 for parameters and inputs, infinite
   * once the operator's backward has been recorded.
   */
  producer: number = -1;

  /**
   * Views a storage as a tensor; `Graph` and `persistent` make those that a program needs.
   *
   * @param owner graph of an activation, input or output; a parameter has none
   */
  constructor(
    storage: Storage,
    shape: readonly number[],
    dtype: DType,
    private readonly owner?: Graph,
  ) {
    super(storage, shape, dtype);
  }

  /**
   * The graph that this activation, input or output belongs to.
   *
   * @throws Error on a parameter: many graphs may use it
   */
  get graph(): Graph {
    if (!this.owner) throw new Error(`${this.name} is a parameter: it belongs to no graph`);
    return this.owner;
  }

  /**
   * The same memory under another shape of the same size, without a gradient of its own.
   *
   * @throws Error where the sizes differ
   */
  reshape(shape: readonly number[]): Tensor {
    if (sizeOf(shape) !== this.size) {
      throw new Error(`${this.name} [${this.shape}] cannot be viewed as [${shape}]`);
    }
    return new Tensor(this.storage, shape, this.dtype, this.owner);
  }
}

/**
 * A tensor that outlives every plan: a parameter, a gradient, an optimizer's moment. `allocate`
 * makes its buffer, or the first plan that uses it does.
 */
export function persistent(
  arena: Arena,
  name: string,
  shape: readonly number[],
  dtype: DType = "f32",
): Tensor {
  return new Tensor({ name, arena, bytes: storageBytes(shape, dtype) }, shape, dtype);
}

/** Where a backward writes a gradient, and whether it adds to what is there. */
export interface GradientTarget {
  /** The gradient. */
  readonly tensor: Tensor;
  /** True where the backward must add to the gradient, false where it must write all of it. */
  readonly accumulate: boolean;
}

/** How a graph records operators. */
export interface GraphOptions {
  /** Record backward passes too. */
  readonly training?: boolean;
  /** Operands of matrix products and attention in f16; sums, norms, softmax and loss stay in f32. */
  readonly mixed?: boolean;
  /** Compute segments again for their gradients instead of keeping what they computed. */
  readonly recompute?: boolean;
}

/**
 * The record of a computation. Operators called on symbolic tensors record their dispatches here
 * and, in training, push their backward on a tape. `backward()` then records the gradients. A `Plan`
 * places the tensors in memory and replays the list.
 */
export class Graph {
  /** All that was recorded, in order. */
  readonly dispatches: Dispatch[] = [];
  /** Whether backward passes are recorded too. */
  readonly training: boolean;
  /** Type of what is multiplied: layers' inputs and outputs, queries, keys and values. */
  readonly operand: "f32" | "f16";
  readonly #tape: { output: Tensor; backward: (outputGradient: Tensor) => void }[] = [];
  /** Activations by the gradient tensor they share (an addition passes its own to both sides). */
  readonly #gradientOwners = new Map<Tensor, Tensor[]>();
  readonly #recompute: boolean;
  /** What is being recorded will be recorded again before its gradients. */
  #forgetting = false;

  /**
   * Begins an empty record.
   *
   * @param capabilities of the device that will run it: they choose the variants of kernels
   */
  constructor(readonly capabilities: Capabilities, options: GraphOptions = {}) {
    this.training = options.training ?? false;
    this.operand = options.mixed ? "f16" : "f32";
    this.#recompute = options.recompute ?? false;
  }

  /** A tensor that the host writes before each replay. */
  input(name: string, shape: readonly number[], dtype: DType = "f32"): Tensor {
    return this.#allocate("inputs", name, shape, dtype);
  }

  /** An activation: memory only for as long as a later dispatch needs it. */
  tensor(name: string, shape: readonly number[], dtype: DType = "f32"): Tensor {
    return this.#allocate("activations", name, shape, dtype);
  }

  /** A tensor that the host reads, or that keeps its numbers from one replay to the next. */
  output(name: string, shape: readonly number[], dtype: DType = "f32"): Tensor {
    return this.#allocate("outputs", name, shape, dtype);
  }

  #allocate(arena: Storage["arena"], name: string, shape: readonly number[], dtype: DType) {
    return new Tensor({ name, arena, bytes: storageBytes(shape, dtype) }, shape, dtype, this);
  }

  /** Keeps an activation for the host to read after the plan has run. */
  keep(tensor: Tensor): Tensor {
    tensor.storage.arena = "outputs";
    return tensor;
  }

  /** The same memory as a new tensor, for an operator that overwrites its input. */
  overwritten(tensor: Tensor): Tensor {
    return new Tensor(tensor.storage, tensor.shape, tensor.dtype, this);
  }

  /**
   * Records one dispatch. Each binding is declared under its name, in order, and its element type
   * under `NAME_type`.
   *
   * @param code the rest of the WGSL, with the entry point `main`
   * @throws UserError where a side has more workgroups than WebGPU starts
   */
  dispatch(
    label: string,
    bindings: Record<string, Binding>,
    code: string,
    workgroups: readonly [number, number?, number?],
    options?: DispatchOptions,
  ): void {
    this.dispatches.push(dispatchOf(label, bindings, code, workgroups, options));
  }

  /**
   * In training, remembers how to get from the gradient of `output` to those of its inputs. In
   * between the operator asks `gradientTarget` where to write, or hands on what it has by
   * `passGradient`.
   *
   * @param backward records the dispatches; called by {@linkcode Graph.backward}, with the gradient
   */
  onBackward(output: Tensor, backward: (outputGradient: Tensor) => void): void {
    if (!this.training || this.#forgetting) return;
    output.producer = this.#tape.length;
    this.#tape.push({ output, backward });
  }

  /**
   * Records a part of the network, from one activation to the next. With `recompute`, only its input
   * is kept: its operators are recorded again, followed by their gradients, when the backward reaches
   * it (Chen et al., arXiv 1604.06174). None of its operators may overwrite `x`.
   */
  segment(x: Tensor, build: (x: Tensor) => Tensor): Tensor {
    if (!this.training || !this.#recompute) return build(x);
    this.#forgetting = true;
    const y = build(x);
    this.#forgetting = false;
    // The operators of the second recording land on the tape behind this one, which is being left.
    this.onBackward(y, (dy) => this.passGradient(dy, build(x)));
    return y;
  }

  /**
   * Records the backward pass: every operator on the tape, last first. The tensor that is
   * differentiated must have its `gradient` set before, all ones for a plain sum.
   */
  backward(): void {
    for (let entry = this.#tape.pop(); entry; entry = this.#tape.pop()) {
      if (entry.output.gradient) entry.backward(entry.output.gradient);
      entry.output.producer = Infinity;
    }
  }

  /**
   * Where a backward writes the gradient of `tensor`; undefined if nobody needs it. An activation's
   * gradient has the activation's type, a parameter's gradient is f32.
   */
  gradientTarget(tensor: Tensor): GradientTarget | undefined {
    if (tensor.producer < 0) {
      return tensor.gradient && { tensor: tensor.gradient, accumulate: true };
    }
    if (!tensor.gradient) {
      tensor.gradient = this.tensor(`${tensor.name}.gradient`, tensor.shape, tensor.dtype);
      this.#gradientOwners.set(tensor.gradient, [tensor]);
      return { tensor: tensor.gradient, accumulate: false };
    }
    if (this.#stillNeededByOthers(tensor.gradient, tensor)) {
      tensor.gradient = this.convert(tensor.gradient, tensor.dtype);
      this.#gradientOwners.set(tensor.gradient, [tensor]);
    }
    tensor.gradient.half = undefined; // what it is a copy of is about to change
    return { tensor: tensor.gradient, accumulate: true };
  }

  /**
   * Where a backward that writes the last part of the gradient of `tensor`, and so all of it, leaves a
   * copy in f16; undefined if nobody reads one. To be called behind `gradientTarget`.
   */
  halfGradient({ name, shape, gradient, passesHalfGradient }: Tensor): Tensor | undefined {
    if (!gradient || !passesHalfGradient) return undefined;
    return gradient.half = this.tensor(`${name}.gradient.half`, shape, "f16");
  }

  /**
   * Hands `gradient` on to `tensor` as its gradient or a part of it: without a copy where it is the
   * first part and has the tensor's type.
   */
  passGradient(gradient: Tensor, tensor: Tensor): void {
    if (tensor.producer >= 0 && !tensor.gradient) {
      const same = gradient.dtype === tensor.dtype;
      const { half } = gradient;
      if (!same) gradient.half = undefined; // whoever has the copy may change it
      tensor.gradient = same ? gradient : half ?? this.convert(gradient, tensor.dtype);
      const owners = this.#gradientOwners.get(tensor.gradient) ?? [];
      this.#gradientOwners.set(tensor.gradient, [...owners, tensor]);
      return;
    }
    const target = this.gradientTarget(tensor);
    if (!target) return;
    this.parallel(
      "add gradient",
      { gradient: read(gradient), into: update(target.tensor) },
      "into[i] = into_type(number(into[i]) + number(gradient[i]));",
    );
  }

  /** An owner is done with its gradient once its own backward has been recorded. */
  #stillNeededByOthers(gradient: Tensor, tensor: Tensor): boolean {
    const owners = this.#gradientOwners.get(gradient) ?? [];
    return owners.some((owner) => owner !== tensor && owner.producer !== Infinity);
  }

  /** Records a copy of a tensor in a type, its own or another. */
  convert(source: Tensor, dtype: DType): Tensor {
    const copy = this.tensor(`${source.name}.copy`, source.shape, dtype);
    this.parallel(
      "convert",
      { source: read(source), copy: write(copy) },
      "copy[i] = copy_type(source[i]);",
    );
    return copy;
  }

  /**
   * Records statements that run for every element of arrays of one size, four elements at a time
   * where the size allows. In `body`, `i` is the index and `number` the type to compute in, f32 or
   * `vec4f`.
   *
   * @param arrays bindings of one size, whole or slices, seen as scalars or as vectors of 4
   * @param side further bindings, seen as they are
   */
  parallel(
    label: string,
    arrays: Record<string, Binding>,
    body: string,
    side: Record<string, Binding> = {},
  ): void {
    const [{ tensor, slice }] = Object.values(arrays);
    const size = slice?.count ?? tensor.size;
    const vector = vectorOf(size);
    const wide = Object.entries(arrays).map(([name, each]) => [name, { ...each, vector }]);
    this.elementwise(label, size / vector, { ...Object.fromEntries(wide), ...side }, body, vector);
  }

  /**
   * Records statements that run for each `i` below `count`, however large it is. In `body`, `number`
   * is f32, or a vector of it.
   *
   * @param vector width of `number`; the bindings say themselves how they are seen
   */
  elementwise(
    label: string,
    count: number,
    bindings: Record<string, Binding>,
    body: string,
    vector: Vector = 1,
  ): void {
    const workgroups = Math.min(Math.ceil(count / 256), 16384);
    this.dispatch(
      label,
      bindings,
      `alias number = ${numberType(vector)};

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = id.x; i < ${count}u; i += ${workgroups * 256}u) {
    ${body}
  }
}`,
      [workgroups],
    );
  }
}
