/**
 * Steel-LLM (arXiv 2502.06635) on WebGPU: load, ask, train, evaluate and export language models from
 * TypeScript.
 *
 * ```ts ignore
 * import { loadModel } from "@steel/steel-llm";
 *
 * const model = await loadModel("runs/pretrain");
 * for await (const { text } of model.generate("春日\n", { temperature: 0.8, seed: 1 })) {
 *   await Deno.stdout.write(new TextEncoder().encode(text));
 * }
 * model.close();
 * ```
 *
 * This module exports what `./model`, `./train`, `./data` and `./eval` export; each of them has an
 * example that runs as it is. The tensor runtime, which is usable without a language model, is
 * `./kernels`. An error that the user can fix is thrown as a {@linkcode UserError}, whose message
 * says how.
 *
 * @module
 */

export * from "./model/mod.ts";
export * from "./data/mod.ts";
export * from "./train/mod.ts";
export * from "./eval/mod.ts";
