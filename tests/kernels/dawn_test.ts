/** What Dawn's backend shows that computes nothing and needs no GPU: how it waits, what it compiles. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { createDawn, dawnFlags } from "../../kernels/host/dawn.ts";
import { FACTORS, multiplications } from "../../kernels/multiplications.ts";
import { Graph, persistent } from "../../kernels/runtime/graph.ts";
import { writableBuffers } from "../../kernels/sharding/staging.ts";
import { parseConfig } from "../../model/network/config.ts";
import { Parameters } from "../../model/network/parameters.ts";
import { transformer } from "../../model/network/transformer.ts";
import { adamW, giveGradient, trainable } from "../../kernels/optimizer/adamw.ts";
import { REPORT } from "../../kernels/optimizer/gradient-norm.ts";
import type { Capabilities } from "../../kernels/runtime/device.ts";
import { packAndApply } from "../../kernels/sharding/eight-bits.ts";
import { addInOrder, addUpdate, fillHalf, packSection } from "../../kernels/sharding/packing.ts";
import { chunksOf, GRAIN } from "../../kernels/sharding/shards.ts";
import { microBatchInputs } from "../../train/step/micro-batch.ts";
import { NextTokenObjective } from "../../train/step/objective.ts";

Deno.test("Dawn polls by a timer, and the global setImmediate stays as it was", async () => {
  const { setImmediate, setTimeout } = globalThis;
  const pauses: (number | undefined)[] = [];
  let polls = 0;
  const spies = {
    setTimeout: (task: () => void, pause?: number) => {
      pauses.push(pause);
      return setTimeout(task, pause);
    },
    // What Dawn asks for by itself would come here.
    setImmediate: (task: () => void) => {
      polls++;
      setImmediate(task);
    },
  };
  const assertUnchanged = (when: string) =>
    assertStrictEquals<unknown>(globalThis.setImmediate, spies.setImmediate, when);
  Object.assign(globalThis, spies);
  try {
    const dawn = await createDawn(["backend=null"]);
    const device = await (await dawn.requestAdapter())!.requestDevice();
    const buffer = device.createBuffer({ size: 16, usage: 0x1 | 0x8 }); // to be mapped and written
    device.pushErrorScope("validation");
    for (const wait of [() => buffer.mapAsync(0x1), () => device.popErrorScope()]) {
      const waiting = wait();
      assertUnchanged("while Dawn waits");
      await waiting;
      assertUnchanged("when Dawn has waited");
    }
    device.destroy();
    assertEquals([new Set(pauses), polls], [new Set([1]), 0]);
  } finally {
    Object.assign(globalThis, { setImmediate, setTimeout });
  }
});

/** A buffer's usage; the constants of WebGPU are there without a GPU. */
const isStorage = ({ usage }: GPUBuffer) => (usage & GPUBufferUsage.STORAGE) !== 0;

Deno.test("for ranks, Dawn lets the CPU write into buffers that shaders read", async () => {
  for (const hostWrites of [false, true]) {
    const flags = ["backend=null", ...dawnFlags({ boundsChecks: true, hostWrites })];
    const device = await (await (await createDawn(flags)).requestAdapter())!.requestDevice();
    device.pushErrorScope("validation");
    const host = { implementation: "dawn", hostWrites: true } as const;
    const [buffer] = await writableBuffers({ device, host }, 2, 64);
    assert(isStorage(buffer));
    assertEquals(await device.popErrorScope() === null, hostWrites);
    if (hostWrites) {
      await buffer.mapAsync(GPUMapMode.WRITE);
      new Uint8Array(buffer.getMappedRange()).fill(7);
      buffer.unmap();
    }
    device.destroy();
  }
});

Deno.test("where the GPU's memory has no room for what the CPU writes, the host's has", async () => {
  const destroyed: GPUBuffer[] = [];
  const device = {
    createBuffer: (descriptor: GPUBufferDescriptor) => ({
      ...descriptor,
      destroy() {
        destroyed.push(this as unknown as GPUBuffer);
      },
    }),
    pushErrorScope: () => {},
    popErrorScope: () => Promise.resolve({ message: "no room" }),
  } as unknown as GPUDevice;
  const host = { implementation: "dawn", hostWrites: true } as const;
  const buffers = await writableBuffers({ device, host }, 2, 64);
  assertEquals(buffers.map(isStorage), [false, false]);
  assertEquals(destroyed.map(isStorage), [true, true]);
});

Deno.test("WGSL of training on tensor cores is valid", async () => {
  const dawn = await createDawn(["enable-dawn-features=allow_unsafe_apis", "backend=null"]);
  const requiredFeatures = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];
  const device = await (await dawn.requestAdapter())!.requestDevice({
    requiredFeatures: requiredFeatures as GPUFeatureName[],
  });
  const messages: string[] = [];
  const validate = async (kernels: ReadonlyMap<string, string>) => {
    for (const [code, label] of kernels) {
      const info = await device.createShaderModule({ code }).getCompilationInfo();
      messages.push(
        ...info.messages.map(({ lineNum, message }) => `${label}: line ${lineNum}: ${message}`),
      );
    }
  };
  // Heads of 56 as Steel-LLM's, wide ones that lanes share, and some whose vectors they do not divide.
  for (const [heads, keyValueHeads, headDim] of [[4, 4, 56], [2, 1, 128], [4, 2, 80]]) {
    await validate(trainingKernels(heads, keyValueHeads, headDim));
  }
  await validate(exchangeKernels());
  device.destroy();
  assertEquals(messages, []);
});

const CAPABILITIES: Capabilities = {
  ...{ name: "a GPU", implementation: "dawn", cpu: false, f16: true, tensorCores: true },
  ...{ maxBindingBytes: 2 ** 31 - 4, maxBufferBytes: 2 ** 40, timestamps: true },
};

/** The WGSL of a micro-batch of a small Steel-LLM as a GPU with tensor cores would run it, with labels. */
function trainingKernels(heads: number, keyValueHeads: number, headDim: number) {
  const config = parseConfig({
    architectures: ["SteelForCausalLM"],
    vocab_size: 1024,
    hidden_size: heads * headDim,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    n_experts: 6,
    slots_per_expert: 1,
    mlp_type: "senet",
    mlp_div_ratio: 4,
    FFN_type: "softmoe_v3",
    max_position_embeddings: 512,
    rope_theta: 10000,
  }, "the test's model");
  const parameters = new Parameters(config, true);
  for (const tensor of parameters.tensors) giveGradient(tensor);
  const graph = new Graph(CAPABILITIES, { training: true, mixed: true });
  const inputs = microBatchInputs(graph, { tokens: 1024, sequences: 2, longest: 512 });
  const hidden = transformer(inputs.batch, parameters);
  const loss = persistent("outputs", "loss", [1]);
  new NextTokenObjective().record({ ...inputs, hidden, head: parameters.head }, loss);
  graph.backward();
  multiplications(graph, graph.input("factors", [FACTORS], "f16"));
  return labels(graph);
}

/** The WGSL of updates, and of what ranks exchange, in every format, with labels. */
function exchangeKernels() {
  const graph = new Graph(CAPABILITIES);
  const tensor = persistent("weights", "weights", [3 * GRAIN]);
  tensor.half = persistent("half weights", "half", tensor.shape, "f16");
  const gradient = giveGradient(tensor);
  const words = persistent("exchange", "words", [2 * tensor.size], "u32");
  for (const type of ["f32", "bf16", "int8"] as const) {
    const piece = { tensor, first: 0, count: tensor.size };
    const [{ sections: [section] }] = chunksOf([piece], tensor.size, () => type);
    packSection(graph, section, gradient, words);
    addInOrder(graph, section, gradient, words, { rank: 1, size: 3 });
    if (type !== "f32") addUpdate(graph, section, tensor, words, 0);
    if (type === "int8") packAndApply(graph, section, words);
    fillHalf(graph, section);
  }
  const [rates, report] = [graph.input("rates", [4]), graph.output("report", [REPORT.length])];
  const options = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05 };
  for (const update of ["applied", "rounded", "left"] as const) {
    adamW(graph, { ...trainable(tensor), update }, rates, report, options);
  }
  return labels(graph);
}

function labels({ dispatches }: Graph): Map<string, string> {
  return new Map(dispatches.map(({ label, code }) => [code, label]));
}
