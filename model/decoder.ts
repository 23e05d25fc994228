import { attention } from "../kernels/attention.ts";
import type { Gpu } from "../kernels/device.ts";
import { attendToCache, storeInCache } from "../kernels/key-value-cache.ts";
import { allocate } from "../kernels/memory.ts";
import { persistent, type Tensor } from "../kernels/tensor.ts";
import { NextTokenPass } from "./next-token-pass.ts";
import type { Parameters } from "./parameters.ts";
import { roomForTokens } from "./plan-sizes.ts";

/**
 * Decoding with a cache of keys and values, as Hugging Face's cache does it: the prompts are one
 * forward pass; then each new token passes the network alone, so that a Soft MoE's dispatch sees
 * that token only.
 */
export class Decoder {
  #lengths: number[] = [];

  private constructor(
    private readonly gpu: Gpu,
    private readonly parameters: Parameters,
    /** One a layer: [sequences, capacity, 2 · keyValueHeads · headDim]. */
    private readonly caches: readonly Tensor[],
    private readonly next: NextTokenPass,
  ) {}

  /** Plans decoding of `sequences` texts of at most `capacity` tokens each, prompt included. */
  static async plan(
    gpu: Gpu,
    parameters: Parameters,
    sequences: number,
    capacity: number,
  ): Promise<Decoder> {
    const { config } = parameters;
    const width = 2 * config.keyValueHeads * config.headDim;
    const caches = parameters.layers.map((_, layer) =>
      persistent("cache", `cache ${layer}`, [sequences, capacity, width])
    );
    await allocate(gpu, caches.map(({ storage }) => storage));
    const next = await NextTokenPass.plan(
      gpu,
      parameters,
      { tokens: sequences, sequences, prefix: false },
      ({ positions, sequences }) => (queryKeyValue, layer) => {
        storeInCache(queryKeyValue, caches[layer], sequences.index, positions, config);
        return attendToCache(queryKeyValue, caches[layer], positions, config);
      },
    );
    return new Decoder(gpu, parameters, caches, next);
  }

  /**
   * Reads the prompts, one for each sequence.
   *
   * @returns logits of the token after each prompt, [sequences][vocabulary]
   */
  async prefill(prompts: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const { gpu, parameters, caches } = this;
    const tokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
    const pass = await NextTokenPass.plan(
      gpu,
      parameters,
      { tokens: roomForTokens(tokens), sequences: prompts.length, prefix: false },
      ({ positions, sequences }) => (queryKeyValue, layer) => {
        storeInCache(
          queryKeyValue,
          caches[layer],
          sequences.index,
          positions,
          parameters.config,
        );
        return attention(queryKeyValue, sequences, parameters.config);
      },
    );
    const logits = await pass.run(prompts);
    pass.destroy();
    this.#lengths = prompts.map(({ length }) => length);
    return logits;
  }

  /**
   * Adds one token to each sequence.
   *
   * @returns logits of the token after it, [sequences][vocabulary]
   */
  step(ids: readonly number[]): Promise<Float32Array[]> {
    const positions = this.#lengths;
    this.#lengths = positions.map((length) => length + 1);
    return this.next.run(ids.map((id) => [id]), { positions });
  }

  destroy(): void {
    this.next.destroy();
    for (const { storage } of this.caches) storage.buffer?.destroy();
  }
}
