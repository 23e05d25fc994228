/** A model loaded as another host than Deno would: from files in memory, on a GPU that is handed in. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { openAdapter } from "../../kernels/runtime/device.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { Checkpoint } from "../../model/checkpoint/checkpoint.ts";
import type { CheckpointFiles } from "../../model/checkpoint/checkpoint-files.ts";
import { loadModel } from "../../model/host/load-model.ts";
import type { LanguageModel } from "../../model/inference/language-model.ts";
import { loadCheckpoint } from "../../model/inference/load-checkpoint.ts";
import { openTestGpu } from "../open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { TEXT, writePruned } from "./pruned-model.ts";

/** A folder's files, held in memory. */
async function inMemory(dir: string): Promise<CheckpointFiles> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for await (const { name } of Deno.readDir(dir)) {
    files.set(name, await Deno.readFile(`${dir}/${name}`));
  }
  return {
    dir: "memory",
    text: (name) => {
      const bytes = files.get(name);
      return Promise.resolve(bytes && new TextDecoder().decode(bytes));
    },
    size: (name) => Promise.resolve(files.get(name)?.length),
    bytes: (name, first, count) =>
      Promise.resolve(files.get(name)!.slice(first, first + count).buffer),
  };
}

/** Runs something where there is no `Deno`, as in a browser. */
async function withoutDeno<T>(run: () => Promise<T>): Promise<T> {
  const { Deno } = globalThis;
  Reflect.deleteProperty(globalThis, "Deno");
  try {
    return await run();
  } finally {
    Object.assign(globalThis, { Deno });
  }
}

async function written(model: LanguageModel): Promise<unknown[]> {
  const drawn = { maxTokens: 12, temperature: 1.2, topP: 0.9, seed: 4, stopIds: [] };
  return [
    ...await Array.fromAsync(model.generate(TEXT, drawn)),
    ...await model.generateMany([TEXT, "静夜思"], { maxTokens: 8, temperature: 0, stopIds: [] }),
  ];
}

Deno.test("without Deno, a model in memory writes what it writes from the disk", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(dir, false);
    const onDisk = await loadModel(dir);
    const expected = await written(onDisk);
    onDisk.close();

    const files = await inMemory(dir);
    const adapter = (await navigator.gpu.requestAdapter())!;
    const texts = await withoutDeno(async () => {
      const gpu = await openAdapter(adapter, { implementation: "deno" });
      const model = await loadCheckpoint(await Checkpoint.read(files), gpu, { ownsGpu: true });
      const texts = await written(model);
      model.close();
      return texts;
    });
    assertEquals(texts, expected);
    assert(expected.length > 12);
  }));

Deno.test("models share a GPU that is handed in, and leave it open", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/one`, false);
    await writePruned(`${dir}/other`, true);
    const gpu = await openTestGpu();
    const one = await loadModel(await inMemory(`${dir}/one`), { gpu });
    const other = await loadModel(`${dir}/other`, { gpu });
    const [texts, others] = await Promise.all([written(one), written(other)]);
    assertNotEquals(texts, others);
    one.close();
    assertEquals(await written(other), others);
    other.close();
    const again = await loadModel(`${dir}/one`, { gpu });
    assertEquals(await written(again), texts);
    again.close();
    gpu.close();
  }));

Deno.test("files that give fewer bytes than there should be are refused by name", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(dir, false);
    const files = await inMemory(dir);
    const short: CheckpointFiles = {
      ...files,
      bytes: async (name, first, count) =>
        (await files.bytes(name, first, count)).slice(0, first < 8 ? count : count - 1),
    };
    await assertRejects(
      () => Checkpoint.read(short),
      UserError,
      "memory/model.safetensors: only ",
    );
  }));
