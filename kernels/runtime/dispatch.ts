import type { View } from "./storage.ts";
import { UserError } from "./user-error.ts";

/** How a dispatch uses a tensor: `write` covers every element, `update` reads and writes. */
export type Access = "read" | "write" | "update";

/** Width of the vectors through which a kernel sees a tensor. */
export type Vector = 1 | 2 | 4;

/** A part of a tensor, in elements. */
export interface Slice {
  /** The first element; its byte offset must be a multiple of 256. */
  readonly first: number;
  /** Number of elements. */
  readonly count: number;
}

/** A tensor as a kernel sees it: a WGSL array of scalars or vectors. */
export interface Binding {
  /** The tensor that is bound. */
  readonly tensor: View;
  /** Whether the kernel reads it, writes it or both. */
  readonly access: Access;
  /** Width of an element of the WGSL array. */
  readonly vector: Vector;
  /** The part that is bound; the whole tensor when left out. */
  readonly slice?: Slice;
  /** WGSL type of an element, where it is not the tensor's own. */
  readonly type?: string;
}

/** One kernel call: its WGSL, what it binds and how many workgroups run. */
export interface Dispatch {
  /** Name for people, the profile and the GPU's own labels. */
  readonly label: string;
  /** Bindings of group 0, in order. */
  readonly bindings: readonly Binding[];
  /** The whole WGSL, declarations of the bindings included. */
  readonly code: string;
  /** Workgroups along x, y and z. */
  readonly workgroups: readonly [number, number, number];
  /** Multiplications and additions of its matrix products; 0 where there are none or they are not counted. */
  readonly flops: number;
}

/** What most dispatches do without. */
export interface DispatchOptions {
  /** WGSL's `enable` and `diagnostic` lines; `enable f16` is added where it is needed. */
  readonly directives?: readonly string[];
  /** Multiplications and additions of its matrix products. */
  readonly flops?: number;
}

/** Binds a tensor for reading. */
export function read(tensor: View, vector: Vector = 1, slice?: Slice): Binding {
  return { tensor, access: "read", vector, slice };
}

/** Binds a tensor of which the dispatch writes every element. */
export function write(tensor: View, vector: Vector = 1, slice?: Slice): Binding {
  return { tensor, access: "write", vector, slice };
}

/** Binds a tensor that the dispatch reads and writes. */
export function update(tensor: View, vector: Vector = 1, slice?: Slice): Binding {
  return { tensor, access: "update", vector, slice };
}

/** The widest vector that divides rows of this length. */
export function vectorOf(width: number): 1 | 4 {
  return width % 4 === 0 ? 4 : 1;
}

/** WGSL type to compute in: f32, or a vector of it. */
export function numberType(vector: Vector): string {
  return vector === 1 ? "f32" : `vec${vector}f`;
}

/**
 * A dispatch with its whole WGSL. Each binding is declared under its name, in order, and its element
 * type under `NAME_type`.
 *
 * @param code the rest of the WGSL, with the entry point `main`
 * @throws UserError where a side has more workgroups than WebGPU starts
 */
export function dispatchOf(
  label: string,
  bindings: Record<string, Binding>,
  code: string,
  workgroups: readonly [number, number?, number?],
  { directives = [], flops = 0 }: DispatchOptions = {},
): Dispatch {
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
      `${label}: ${x}×${y}×${z} workgroups, but WebGPU starts at most 65535 a side. Use smaller ` +
        `tensors: a smaller batch, sequence or model.`,
    );
  }
  return {
    label,
    bindings: Object.values(bindings),
    code: [...enabled, ...declarations, code].join("\n"),
    workgroups: [x, y, z],
    flops,
  };
}

function elementType({ tensor, vector }: Binding): string {
  return vector === 1 ? tensor.dtype : `vec${vector}<${tensor.dtype}>`;
}
