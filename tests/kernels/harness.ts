import { assert } from "@std/assert";
import type { Implementation } from "../../kernels/host/open-gpu.ts";
import type { Capabilities, Gpu } from "../../kernels/runtime/device.ts";
import { read, write } from "../../kernels/runtime/dispatch.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft } from "../../kernels/runtime/plan.ts";
import { download, upload } from "../../kernels/runtime/transfer.ts";
import { openTestGpu } from "../open-gpu.ts";

/**
 * Largest ‖ours − reference‖ / ‖reference‖ in f32. A sum of n rounded terms errs by about
 * √n · 6e-8; the longest sums in these tests have a few thousand terms.
 */
export const TOLERANCE = 1e-5;

/**
 * The same with operands in f16, whose numbers are rounded to 1 part in 2048, several times on the
 * way through an operator; a gradient that is a small difference of large terms shows it most.
 */
export const HALF_TOLERANCE = 1e-2;

/** Which WebGPU to test: STEEL_GPU=dawn or deno; with every index checked. */
const implementation = (Deno.env.get("STEEL_GPU") ?? "auto") as Implementation;

/** The device that all tests of a file share; its name is printed once. */
export const gpu: Gpu = await openTestGpu(implementation, { boundsChecks: true });

/** Whether to test f32 alone, or mixed precision too. */
export const precisions = gpu.capabilities.f16 ? ["f32", "mixed"] as const : ["f32"] as const;
console.log(
  `device: ${gpu.capabilities.name}, ${gpu.capabilities.implementation}, ${
    precisions.join(" and ")
  }${gpu.capabilities.tensorCores ? ", tensor cores" : ""}`,
);

export interface Input {
  shape: number[];
  /** Numbers; drawn at random when left out. */
  data?: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
  /** A parameter gathers its gradient across calls; other floats receive a fresh one. */
  parameter?: boolean;
  /** A table of numbers that needs no gradient. */
  constant?: boolean;
  /** In mixed precision, f16: an operand of a matrix product, or a weight with a copy in f16. */
  operand?: boolean;
}

/** Numbers by name. */
export type Arrays = Record<string, Float64Array>;

export interface OperatorTest {
  inputs: Record<string, Input>;
  /** Records the operator under test. */
  record: (tensors: Record<string, Tensor>, graph: Graph) => Tensor;
  /** The same in float64, from the same numbers. */
  reference: (inputs: Arrays) => Float64Array;
  seed?: number;
}

/**
 * Runs an operator forward and backward, compares its output with the reference and every gradient
 * with central differences of the reference. Both variants of the kernels are run, that for
 * software drivers and that for GPUs, whichever the device is.
 */
export async function checkOperator(
  { inputs, record, reference, seed = 1 }: OperatorTest,
): Promise<void> {
  const random = randomNumbers(seed);
  // Numbers that f16 holds exactly, so that both precisions start from the same ones.
  const data = mapValues(inputs, ({ shape, data, operand }) => {
    const numbers = data ?? random(sizeOf(shape));
    return operand ? Float32Array.from(Float16Array.from(numbers)) : numbers;
  });
  const values = mapValues(data, (numbers) => Float64Array.from(numbers));
  const expected = reference(values);
  const upstream = Float32Array.from(Float16Array.from(random(expected.length)));
  const differentiable = Object.keys(inputs)
    .filter((name) => !inputs[name].constant && data[name] instanceof Float32Array);
  const gradients = differentiable.map((name) => differences(reference, values, name, upstream));

  for (const precision of precisions) {
    for (const cpu of [true, false]) {
      const mixed = precision === "mixed";
      const tolerance = mixed ? HALF_TOLERANCE : TOLERANCE;
      const run = await runOperator(
        { inputs, record },
        data,
        () => upstream,
        differentiable,
        { cpu },
        mixed,
      );
      const variant = `${precision}, kernels for ${cpu ? "software drivers" : "GPUs"}`;
      assertClose(`output (${variant})`, run.output, expected, tolerance);
      differentiable.forEach((name, i) =>
        assertClose(`gradient of ${name} (${variant})`, run.gradients[i], gradients[i], tolerance)
      );
    }
  }
}

/**
 * Runs two operators forward and backward on the same numbers, and asserts that outputs and gradients
 * are the same, in both variants of the kernels.
 *
 * @param limits of a smaller device, on which the other one runs
 */
export async function checkSameOperator(
  inputs: OperatorTest["inputs"],
  record: OperatorTest["record"],
  other: OperatorTest["record"],
  limits: Partial<Capabilities> = {},
): Promise<void> {
  const random = randomNumbers(1);
  const data = mapValues(
    inputs,
    ({ shape, data }) => data ?? Float32Array.from(Float16Array.from(random(sizeOf(shape)))),
  );
  const differentiable = Object.keys(inputs)
    .filter((name) => !inputs[name].constant && data[name] instanceof Float32Array);
  for (const precision of precisions) {
    for (const cpu of [true, false]) {
      const mixed = precision === "mixed";
      const run = (record: OperatorTest["record"], limits: Partial<Capabilities> = {}) =>
        runOperator(
          { inputs, record },
          data,
          randomNumbers(2),
          differentiable,
          { cpu, ...limits },
          mixed,
        );
      const [ours, wanted] = [await run(other, limits), await run(record)];
      const tolerance = mixed ? HALF_TOLERANCE : TOLERANCE;
      const variant = `${precision}, kernels for ${cpu ? "software drivers" : "GPUs"}`;
      assertClose(`output (${variant})`, ours.output, wanted.output, tolerance);
      differentiable.forEach((name, i) =>
        assertClose(
          `gradient of ${name} (${variant})`,
          ours.gradients[i],
          wanted.gradients[i],
          tolerance,
        )
      );
    }
  }
}

/** Records, plans and runs an operator and its backward once. */
async function runOperator(
  { inputs, record }: Pick<OperatorTest, "inputs" | "record">,
  data: Record<string, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>,
  upstream: (length: number) => Float32Array<ArrayBuffer>,
  differentiable: string[],
  limits: Partial<Capabilities>,
  mixed: boolean,
) {
  const graph = new Graph({ ...gpu.capabilities, ...limits }, { training: true, mixed });
  const results: Tensor[] = [];
  const uploads: [Tensor, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>][] = [];
  const lasting: Tensor[] = [];
  const tensors = mapValues(inputs, ({ shape, parameter, operand }, name) => {
    const half = mixed && operand;
    if (!parameter) {
      const dtype = data[name] instanceof Uint32Array ? "u32" : half ? "f16" : "f32";
      const tensor = graph.input(name, shape, dtype);
      uploads.push([tensor, data[name]]);
      return tensor;
    }
    const tensor = persistent("weights", name, shape);
    tensor.gradient = persistent("gradients", `${name}.gradient`, shape);
    if (half) {
      tensor.half = persistent("half weights", `${name}.half`, shape, "f16");
      uploads.push([tensor.half, data[name]]);
      lasting.push(tensor.half);
    }
    uploads.push([tensor, data[name]]);
    lasting.push(tensor, tensor.gradient);
    return tensor;
  });
  for (const name of differentiable) {
    if (inputs[name].parameter) {
      results.push(tensors[name].gradient!);
      continue;
    }
    const kept = graph.output(`${name}.gradient`, inputs[name].shape);
    graph.onBackward(tensors[name], (gradient) => copyInto(graph, gradient, kept));
    results.push(kept);
  }
  const output = record(tensors, graph);
  const kept = graph.output("kept output", output.shape);
  copyInto(graph, output, kept);
  output.gradient = graph.input("upstream", output.shape, output.dtype);
  uploads.push([output.gradient, upstream(output.size)]);
  graph.backward();

  await allocate(gpu, lasting.map(({ storage }) => storage));
  const plan = await new Draft(graph).build(gpu);
  for (const [tensor, numbers] of uploads) {
    upload(gpu, tensor, tensor.dtype === "f16" ? Float16Array.from(numbers) : numbers);
  }
  plan.run();
  const run = {
    output: await download(gpu, kept),
    gradients: [] as Float32Array[],
  };
  for (const result of results) run.gradients.push(await download(gpu, result));
  plan.destroy();
  return run;
}

function mapValues<T, U>(record: Record<string, T>, map: (value: T, name: string) => U) {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, map(value, name)]),
  );
}

/** d(output · upstream) / d(input) by central differences in float64. */
function differences(
  reference: (inputs: Arrays) => Float64Array,
  values: Arrays,
  name: string,
  upstream: Float32Array,
): Float64Array {
  const step = 1e-5;
  const objective = () => reference(values).reduce((sum, value, i) => sum + value * upstream[i], 0);
  return values[name].map((value, i, array) => {
    array[i] = value + step;
    const above = objective();
    array[i] = value - step;
    const below = objective();
    array[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Asserts ‖actual − expected‖ ≤ tolerance · ‖expected‖, and that every number is finite. */
export function assertClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = TOLERANCE,
): void {
  const error = relativeError(actual, expected);
  assert(error <= tolerance, `${what} is off by ${error.toExponential(2)} of its norm`);
}

/** ‖actual − expected‖ / ‖expected‖; NaN if any number is not finite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return actual.length === expected.length ? Math.sqrt(difference / (norm || 1)) : NaN;
}

/** Draws normal deviates, the same ones for the same seed. */
export function randomNumbers(seed: number): (length: number) => Float32Array<ArrayBuffer> {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return (length) =>
    Float32Array.from(
      { length },
      () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
    );
}

function copyInto(graph: Graph, source: Tensor, target: Tensor): void {
  graph.elementwise(
    "copy",
    source.size,
    { source: read(source), into: write(target) },
    "into[i] = f32(source[i]);",
  );
}
