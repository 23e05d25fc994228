import type { Random } from "../../data/random.ts";
import type { Gpu } from "../../kernels/runtime/device.ts";
import { gatherRows } from "../../kernels/decoding/gather-rows.ts";
import { Graph, persistent, type Tensor } from "../../kernels/runtime/graph.ts";
import { attendToCache, storeInCache } from "../../kernels/decoding/key-value-cache.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { Draft, type Plan } from "../../kernels/runtime/plan.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import { attendInside } from "../network/attention/attention.ts";
import { type Batch, batchInputs, uploadBatch } from "../network/batch.ts";
import { NextTokens } from "./next-tokens.ts";
import type { Parameters } from "../network/parameters.ts";
import { requireFinite } from "../finite.ts";
import { roomForTokens } from "./plan-sizes.ts";
import type { SamplingOptions } from "./sampling.ts";
import { logitsOf, transformer } from "../network/transformer.ts";

/** A planned pass over new tokens of each text; it computes the logits of the token after them. */
interface Pass {
  readonly batch: Batch;
  /** [texts] u32. */
  readonly lastRows: Tensor;
  readonly plan: Plan;
}

/**
 * Decoding with a cache of keys and values, as in Hugging Face's transformers: one forward pass reads
 * the prompts; then each new token passes the network alone, so that a Soft MoE's dispatch sees only
 * that token.
 */
export class Decoder {
  #lengths: number[] = [];
  /** The next step, encoded while the GPU computes the one before. */
  #commands: GPUCommandBuffer;

  private constructor(
    private readonly gpu: Gpu,
    private readonly parameters: Parameters,
    /** One a layer: [texts, capacity, 2 · keyValueHeads · headDim]. */
    private readonly caches: readonly Tensor[],
    private readonly next: NextTokens,
    private readonly pass: Pass,
  ) {
    this.#commands = pass.plan.encode();
  }

  /**
   * Plans decoding of `texts` texts of at most `capacity` tokens each, prompt included.
   *
   * @param sampling how the next tokens are chosen
   */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    texts: number,
    capacity: number,
    sampling: SamplingOptions = {},
  ): Promise<Decoder> {
    const { config } = parameters;
    const caches = config.layers.map(({ attention: { keyValueHeads, headDim } }, layer) =>
      persistent("cache", `cache ${layer}`, [texts, capacity, 2 * keyValueHeads * headDim])
    );
    let next: NextTokens | undefined;
    try {
      await allocate(gpu, caches.map(({ storage }) => storage));
      next = await NextTokens.allocate(gpu, texts, config.vocabSize, sampling);
      const pass = await planPass(gpu, parameters, caches, next);
      // Only ids and positions change from step to step.
      uploadBatch(gpu, pass.batch, Array(texts).fill([0]));
      upload(gpu, pass.lastRows, Uint32Array.from({ length: texts }, (_, text) => text));
      return new Decoder(gpu, parameters, caches, next, pass);
    } catch (error) {
      next?.destroy();
      free(caches);
      throw error;
    }
  }

  /** Starts reading the prompts, one for each text. */
  async prefill(prompts: readonly (readonly number[])[]): Promise<void> {
    const { gpu, parameters, caches, next } = this;
    const tokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
    const { batch, lastRows, plan } = await planPass(
      gpu,
      parameters,
      caches,
      next,
      roomForTokens(tokens),
    );
    let end = 0;
    uploadBatch(gpu, batch, prompts);
    upload(gpu, lastRows, Uint32Array.from(prompts, ({ length }) => (end += length) - 1));
    plan.run();
    plan.destroy();
    this.#lengths = prompts.map(({ length }) => length);
  }

  /**
   * Starts adding a token to each text. In a text that is full, the last token is replaced.
   *
   * @param ids the tokens, [texts]; those that were chosen when left out
   */
  step(ids?: readonly number[]): void {
    const { gpu, caches, pass, parameters: { config } } = this;
    const last = Math.min(caches[0].shape[1], config.maxPositions) - 1;
    if (ids) upload(gpu, this.next.ids, Uint32Array.from(ids));
    upload(
      gpu,
      pass.batch.positions,
      Uint32Array.from(this.#lengths, (length) => Math.min(length, last)),
    );
    pass.plan.submit(this.#commands);
    this.#commands = pass.plan.encode();
    this.#lengths = this.#lengths.map((length) => length + 1);
  }

  /** Logits of each text's next token, [texts][vocabulary], with penalties applied. */
  logits(): Promise<Float32Array[]> {
    return this.next.logits();
  }

  /**
   * Continues all prompts until the caller stops asking.
   *
   * @param randoms one for each text
   * @param count the most steps
   * @returns of each step, the texts' new ids, [texts]
   */
  async *generate(
    prompts: readonly (readonly number[])[],
    randoms: readonly Random[],
    count: number,
  ): AsyncGenerator<number[]> {
    if (count < 1) return;
    const { next } = this;
    const choose = () => {
      const ids = next.choose(randoms);
      ids.catch(() => {}); // thrown where they are awaited, which may be much later
      return ids;
    };
    await this.prefill(prompts);
    // Read before the next step writes over them.
    const checked = next.logits().then((rows) => rows.forEach(requireFinite));
    checked.catch(() => {}); // thrown below
    let chosen = choose();
    try {
      for (let step = 1; step < count; step++) {
        // The next step can start before the host knows what the GPU has chosen.
        const ids = next.chosenOnGpu ? chosen : await chosen;
        this.step();
        chosen = choose();
        await checked;
        yield await ids;
      }
      await checked;
      yield await chosen;
    } finally {
      await Promise.allSettled([chosen, checked]); // nothing is being read once this is over
    }
  }

  /** Frees its memory. */
  destroy(): void {
    this.pass.plan.destroy();
    this.next.destroy();
    free(this.caches);
  }
}

function free(caches: readonly Tensor[]): void {
  for (const { storage } of caches) storage.buffer?.destroy();
}

/**
 * @param room for how many tokens of prompts; when left out, the pass reads one new token of each
 *   text, which attends to what the cache holds
 */
async function planPass(
  gpu: Gpu,
  parameters: Parameters,
  caches: readonly Tensor[],
  next: NextTokens,
  room?: number,
): Promise<Pass> {
  const [texts] = caches[0].shape;
  const graph = new Graph(gpu.capabilities, { mixed: parameters.mixed });
  const inputs = batchInputs(graph, room ?? texts, texts, room ?? 1);
  const batch = room ? inputs : { ...inputs, ids: graph.overwritten(next.ids) };
  const lastRows = graph.input("last rows", [texts], "u32");
  const { positions, sequences } = batch;
  const hidden = transformer(batch, parameters, (queryKeyValue, attention, layer) => {
    storeInCache(queryKeyValue, caches[layer], sequences.index, positions, attention);
    return room
      ? attendInside(sequences, queryKeyValue, attention)
      : attendToCache(queryKeyValue, caches[layer], positions, attention, attention.window);
  });
  const logits = logitsOf(gatherRows(hidden, lastRows), parameters.head);
  next.record(logits, batch, { first: !!room });
  return { batch, lastRows, plan: await new Draft(graph).build(gpu) };
}
