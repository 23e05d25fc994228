/**
 * A tensor runtime on WebGPU: operators with their gradients, memory planned by lifetime, AdamW. It
 * knows nothing of language models. Here it fits a network of two layers to a sine:
 *
 * ```ts
 * import {
 *   adamW, adamWRates, download, Draft, gradientNorm, Graph, linear, openGpu, persistent, read,
 *   REPORT, swiglu, trainable, update, upload, write,
 * } from "@steel/steel-llm/kernels";
 *
 * const gpu = await openGpu();
 * const graph = new Graph(gpu.capabilities, { training: true });
 *
 * // The network, for 64 points x at a time: y = w2 · swiglu(w1 · x + b1).
 * const [x, wanted] = ["x", "wanted"].map((name) => graph.input(name, [64, 1]));
 * const trained = Object.entries({ w1: [64, 1], b1: [64], w2: [1, 32] })
 *   .map(([name, shape]) => trainable(persistent("weights", name, shape)));
 * const [w1, b1, w2] = trained.map(({ value }) => value);
 * const y = linear(swiglu(linear(x, w1, b1)), w2);
 *
 * // The loss, an operator of our own in WGSL: the mean squared error, and its gradient.
 * const loss = graph.output("loss", [1]);
 * const dy = y.gradient = graph.tensor("dy", y.shape);
 * const arrays = { y: read(y), wanted: read(wanted), loss: update(loss), dy: write(dy) };
 * graph.elementwise("mean squared error", 1, arrays, `
 *   for (var point = 0; point < 64; point++) {
 *     let error = y[point] - wanted[point];
 *     loss[0] += error * error / 64;
 *     dy[point] = 2 * error / 64;
 *   }`);
 * graph.backward();
 *
 * // The optimizer: AdamW, after all gradients together were clipped to a norm of 1.
 * const options = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 };
 * const rates = graph.input("rates", [4]);
 * const gradients = trained.map(({ gradient }) => gradient);
 * const report = gradientNorm(graph, gradients, loss, rates, 1);
 * for (const parameter of trained) adamW(graph, parameter, rates, report, options);
 *
 * // What was recorded is planned once, and each step replays it.
 * const plan = await new Draft(graph).build(gpu);
 * const points = Float32Array.from({ length: 64 }, (_, i) => i / 32 - 1);
 * upload(gpu, x, points);
 * upload(gpu, wanted, points.map((x) => Math.sin(3 * x)));
 * for (const { value } of trained) {
 *   upload(gpu, value, Float32Array.from({ length: value.size }, () => Math.random() - 0.5));
 * }
 * for (let step = 1; step <= 300; step++) {
 *   upload(gpu, rates, adamWRates(0.02, step, options));
 *   plan.run();
 * }
 * const error = (await download(gpu, report))[REPORT.loss];
 * if (!(error < 0.01)) throw new Error(`the mean squared error is still ${error}`);
 * gpu.close();
 * ```
 *
 * An operator, built-in or of one's own, is a function that records dispatches in the graph of its
 * tensors and says by {@linkcode Graph.onBackward} how their gradients are computed. Errors that the
 * user can fix are thrown as {@linkcode UserError}.
 *
 * @module
 */

export { UserError } from "./runtime/user-error.ts";

// A device. `openGpu` needs Deno, `openAdapter` nothing but WebGPU.
export { type Implementation, openGpu } from "./host/open-gpu.ts";
export { type Capabilities, Gpu, type GpuHost, openAdapter } from "./runtime/device.ts";

// What is computed: tensors and the graph that records their operators.
export {
  type GradientTarget,
  Graph,
  type GraphOptions,
  persistent,
  Tensor,
} from "./runtime/graph.ts";
export { type Arena, type DType, type Storage, View } from "./runtime/storage.ts";
export {
  type Access,
  type Binding,
  type Dispatch,
  type DispatchOptions,
  read,
  type Slice,
  update,
  type Vector,
  vectorOf,
  write,
} from "./runtime/dispatch.ts";

// Memory, and the plan that is replayed.
export { Draft, Plan, type PlannedDispatch } from "./runtime/plan.ts";
export { type ElementRange, type OpenReading, ReadBack } from "./runtime/read-back.ts";
export {
  allocate,
  describeMemory,
  type MemoryNeed,
  type MemoryReport,
  memoryReport,
  requireRoom,
  totalBytes,
} from "./runtime/memory.ts";
export { copy, download, downloadWords, type Elements, upload } from "./runtime/transfer.ts";
export { type LabelTime, profile } from "./runtime/profile.ts";

// Operators.
export { matmul } from "./matmul/matmul.ts";
export type { MatrixLayout, MatrixOperands, MatrixProduct } from "./matmul/product.ts";
export { add } from "./layers/add.ts";
export { embedding, orderTokens, type TokenOrder } from "./layers/embedding.ts";
export { cast } from "./layers/cast.ts";
export { clip } from "./layers/clip.ts";
export { normalizeHeads } from "./layers/head-norm.ts";
export { layerNorm, type LayerNormWeights } from "./layers/layer-norm.ts";
export { linear } from "./layers/linear.ts";
export { AdaptedWeight, type LowRankPart, type LowRankUpdate } from "./layers/low-rank.ts";
export type { Dropout } from "./layers/dropout.ts";
export { rmsNorm } from "./layers/rms-norm.ts";
export { scale } from "./layers/scale.ts";
export { type HeadLayout, rope, ropeFrequencies, ropeTable } from "./layers/rope.ts";
export {
  layOutSequences,
  sequenceInputs,
  type SequenceRows,
  type Sequences,
  slidingWindow,
  type Spans,
} from "./layers/sequences.ts";
export { geglu, gelu, swiglu } from "./layers/activations.ts";
export { attention } from "./attention/attention.ts";
export {
  chooseExperts,
  type ExpertChoice,
  type RouterOptions,
} from "./mixture-of-experts/choose-experts.ts";
export {
  combineExperts,
  dispatchToExperts,
  gateRows,
} from "./mixture-of-experts/dispatch-and-combine.ts";
export { type BalancedExperts, ExpertBalance } from "./mixture-of-experts/expert-balance.ts";
export { type ExpertGroups, groupByExpert } from "./mixture-of-experts/groups.ts";
export { groupedLinear } from "./mixture-of-experts/grouped-linear.ts";
export { combineSlots, dispatchToSlots, type Routing } from "./soft-moe/soft-moe.ts";
export type { SlotTokens } from "./soft-moe/slots.ts";
export { type LayerUse, RoutingUse } from "./soft-moe/routing-use.ts";
export {
  type CausalRouting,
  continueSegments,
  dispatchToLaterSegments,
  type SegmentRouting,
  type SlotMemory,
  slotMemoryShape,
} from "./soft-moe/causal-soft-moe.ts";
export { addLoss, head, type HeadGradient, type HeadWeights, IGNORED } from "./loss/head.ts";

// The optimizer.
export {
  adamW,
  type AdamWOptions,
  adamWRates,
  trainable,
  type Trained,
} from "./optimizer/adamw.ts";
export { gradientNorm, REPORT } from "./optimizer/gradient-norm.ts";

// Several processes, one a GPU, that train together.
export { connectRanks } from "./ranks/connect.ts";
export { type Communicator, type ConnectOptions, RanksFailed } from "./ranks/communicator.ts";
export type { ExchangeFormat } from "./sharding/shards.ts";
export type { Traffic } from "./sharding/reduce-scatter.ts";
