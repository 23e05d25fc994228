import type { Capabilities } from "./device.ts";
import { type DType, type Storage, storageBytes, Tensor } from "./tensor.ts";
import { UserError } from "./user-error.ts";

/** How a dispatch uses a tensor: `write` covers every element, `update` reads and writes. */
export type Access = "read" | "write" | "update";

/** Width of the vectors through which a kernel sees a tensor. */
export type Vector = 1 | 2 | 4;

/** A part of a tensor, in elements; `first` on a 256-byte border. */
export interface Slice {
  readonly first: number;
  readonly count: number;
}

/** A tensor as a WGSL array of scalars or vectors. */
export interface Binding {
  readonly tensor: Tensor;
  readonly access: Access;
  readonly vector: Vector;
  readonly slice?: Slice;
  /** WGSL type of an element, where it is not the tensor's own. */
  readonly type?: string;
}

export interface Dispatch {
  readonly label: string;
  readonly bindings: readonly Binding[];
  readonly code: string;
  readonly workgroups: readonly [number, number, number];
}

/** Binds a tensor for reading. */
export function read(tensor: Tensor, vector: Vector = 1, slice?: Slice): Binding {
  return { tensor, access: "read", vector, slice };
}

/** Binds a tensor of which the dispatch writes every element. */
export function write(tensor: Tensor, vector: Vector = 1, slice?: Slice): Binding {
  return { tensor, access: "write", vector, slice };
}

/** Binds a tensor that the dispatch reads and writes. */
export function update(tensor: Tensor, vector: Vector = 1, slice?: Slice): Binding {
  return { tensor, access: "update", vector, slice };
}

/** The widest vector that divides rows of this length. */
export function vectorOf(width: number): 1 | 4 {
  return width % 4 === 0 ? 4 : 1;
}

/** Where a backward writes a gradient, and whether it adds to what is there. */
export interface GradientTarget {
  readonly tensor: Tensor;
  readonly accumulate: boolean;
}

export interface GraphOptions {
  /** Record backward passes too. */
  readonly training?: boolean;
  /** Operands of matrix products and attention in f16; sums, norms, softmax and loss stay in f32. */
  readonly mixed?: boolean;
  /** Compute segments again for their gradients instead of keeping what they computed. */
  readonly recompute?: boolean;
}

/**
 * Operators called on symbolic tensors record their dispatches here and, in training, push their
 * backward on a tape. `backward()` then records the gradients. A `Plan` places the tensors in
 * memory and replays the list.
 */
export class Graph {
  readonly dispatches: Dispatch[] = [];
  readonly training: boolean;
  /** Type of what is multiplied: layers' inputs and outputs, queries, keys and values. */
  readonly operand: "f32" | "f16";
  readonly #tape: { output: Tensor; backward: (outputGradient: Tensor) => void }[] = [];
  /** Activations by the gradient tensor they share (an addition passes its own to both sides). */
  readonly #gradientOwners = new Map<Tensor, Tensor[]>();
  readonly #recompute: boolean;
  /** What is being recorded will be recorded again before its gradients. */
  #forgetting = false;

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
   * under `NAME_type`; `code` is the rest of the WGSL, with the entry point `main`.
   */
  dispatch(
    label: string,
    bindings: Record<string, Binding>,
    code: string,
    workgroups: readonly [number, number?, number?],
    directives: readonly string[] = [],
  ): void {
    const declarations = Object.entries(bindings).map(([name, binding], index) => {
      const mode = binding.access === "read" ? "read" : "read_write";
      const type = binding.type ?? elementType(binding);
      return `alias ${name}_type = ${type};
@group(0) @binding(${index}) var<storage, ${mode}> ${name}: array<${name}_type>;`;
    });
    const half = Object.values(bindings).some(({ tensor }) => tensor.dtype === "f16");
    const enabled = [...half ? ["enable f16;"] : [], ...directives];
    const [x, y = 1, z = 1] = workgroups;
    if (Math.max(x, y, z) > 65535) {
      throw new UserError(
        `${label}: ${x}×${y}×${z} workgroups, but WebGPU starts at most 65535 a side. Use a ` +
          `smaller micro-batch, sequence or model.`,
      );
    }
    this.dispatches.push({
      label,
      bindings: Object.values(bindings),
      code: [...enabled, ...declarations, code].join("\n"),
      workgroups: [x, y, z],
    });
  }

  /** In training, remembers how to get from the gradient of `output` to those of its inputs. */
  onBackward(output: Tensor, backward: (outputGradient: Tensor) => void): void {
    if (!this.training || this.#forgetting) return;
    output.producer = this.#tape.length;
    this.#tape.push({ output, backward });
  }

  /**
   * A part of the network from one activation to the next. With `recompute`, only its input is kept:
   * its operators are recorded again, followed by their gradients, when the backward reaches it
   * (Chen et al., arXiv 1604.06174). Operators that overwrite `x` must not be among them.
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

  /** Records the backward pass: every operator on the tape, last first. */
  backward(): void {
    for (let entry = this.#tape.pop(); entry; entry = this.#tape.pop()) {
      if (entry.output.gradient) entry.backward(entry.output.gradient);
      entry.output.producer = Infinity;
    }
  }

  /**
   * Where to write the gradient of `tensor`; undefined if nobody asks for it. An activation's
   * gradient has its type, a parameter's is f32.
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
    return { tensor: tensor.gradient, accumulate: true };
  }

  /** Hands `gradient` on to `tensor`: without a copy when it is the first one and of its type. */
  passGradient(gradient: Tensor, tensor: Tensor): void {
    if (tensor.producer >= 0 && !tensor.gradient) {
      const same = gradient.dtype === tensor.dtype;
      tensor.gradient = same ? gradient : this.convert(gradient, tensor.dtype);
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

  /** A copy, in another type where asked. */
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
   * One statement for every element of arrays of one size, four at a time where they divide:
   * `number` is the f32 type to compute in.
   *
   * @param side further bindings, seen as they are
   */
  parallel(
    label: string,
    arrays: Record<string, Binding>,
    body: string,
    side: Record<string, Binding> = {},
  ): void {
    const [{ tensor: { size } }] = Object.values(arrays);
    const vector = vectorOf(size);
    const wide = Object.entries(arrays).map(([name, each]) => [name, { ...each, vector }]);
    this.elementwise(label, size / vector, { ...Object.fromEntries(wide), ...side }, body, vector);
  }

  /** Statements for each `i` below `count`, any number of them; `number` is f32 or a vector of it. */
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

/** f32, or a vector of it. */
export function numberType(vector: Vector): string {
  return vector === 1 ? "f32" : `vec${vector}f`;
}

function elementType({ tensor, vector }: Binding): string {
  return vector === 1 ? tensor.dtype : `vec${vector}<${tensor.dtype}>`;
}
