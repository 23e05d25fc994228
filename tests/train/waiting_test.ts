/** What is done while the GPU is at its steps ends in the same as what is done while it waits. */
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Gpu } from "../../kernels/runtime/device.ts";
import { persistent } from "../../kernels/runtime/graph.ts";
import { allocate } from "../../kernels/runtime/memory.ts";
import { ReadBack } from "../../kernels/runtime/read-back.ts";
import { upload } from "../../kernels/runtime/transfer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { parseConfig } from "../../model/network/config.ts";
import { initialValues } from "../../model/network/initialization.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { pretrain } from "../../train/pretrain.ts";
import { InitialWeights } from "../../train/run/initial-weights.ts";
import { openTestGpu } from "../open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { tinySettings } from "./tiny-run.ts";

const gpu = await openTestGpu();

Deno.test("ranges of tensors are read back through windows in turns, or as they were at one moment", async () => {
  const size = 10_000_001;
  const tensor = persistent("weights", "counted", [size]);
  await allocate(gpu, [tensor.storage]);
  const counted = Float32Array.from({ length: size }, (_, i) => i);
  upload(gpu, tensor, counted);
  // 160 MB: more than the windows that take turns hold.
  const ranges = [3, 0, 2, 1].map((first) => ({ tensor, first, count: size - 2 * first }));
  const readBack = new ReadBack(gpu, ranges);
  const check = async (change: () => void) => {
    using reading = await readBack.begin();
    change();
    for (const { first, count } of ranges) {
      let next = first;
      for await (const part of reading.next()) {
        const expected = counted.subarray(next, next + part.length);
        assertEquals(Buffer.compare(bytesOf(part), bytesOf(expected)), 0, `from ${next} on`);
        next += part.length;
      }
      assertEquals(next, first + count);
    }
  };
  await check(() => {});
  assert(readBack.missingBytes > 0);
  assert(await readBack.grow(Infinity));
  assertEquals(readBack.missingBytes, 0);
  await check(() => upload(gpu, tensor, new Float32Array(size)));
  readBack.destroy();
  tensor.storage.buffer!.destroy();
});

Deno.test("checkpoints written while training goes on are those for which it waits; a full disk stops it", () =>
  inTemporaryFolder(async (dir) => {
    const every = ["--train.steps=5", "--train.checkpointEvery=2", "--train.keepCheckpoints=9"];
    const events: string[] = [];
    const run = async (name: string, on: Gpu) => {
      events.length = 0;
      const settings = await tinySettings(dir, ...every, `--run.dir=${dir}/${name}`);
      const model = await pretrain(settings, {
        gpu: on,
        onStep: ({ step }) => events.push(`step ${step}`),
        onCheckpoint: (folder) => events.push(`saved ${Number(folder.slice(-7))}`),
      });
      model!.close();
    };
    const { open } = Deno;
    const withDisk = async (
      change: (path: string, file: Deno.FsFile) => void,
      use: () => unknown,
    ) => {
      Deno.open = async (path, options) => {
        const file = await open(path, options);
        change(String(path), file);
        return file;
      };
      try {
        await use();
      } finally {
        Deno.open = open;
      }
    };

    // Nobody tells this device how much memory the machine has to spare.
    await run(
      "waiting",
      new Gpu(gpu.device, gpu.capabilities, { ...gpu.host, freeMemory: undefined }),
    );
    assert(events.indexOf("saved 2") < events.indexOf("step 3"), events.join());
    const all = events.toSorted();

    // The disk is done with a checkpoint only when the step after it is.
    const late = (path: string, file: Deno.FsFile) => {
      if (!/\.step-0000002.*optimizer/.test(path)) return;
      const { syncData } = file;
      file.syncData = async () => {
        for (let wait = 0; wait < 1000 && !events.includes("step 3"); wait++) await delay(5);
        await syncData.call(file);
      };
    };
    await withDisk(late, () => run("meanwhile", gpu));
    assert(events.indexOf("saved 2") > events.indexOf("step 3"), events.join());
    assertEquals(events.toSorted(), all);
    for (const step of [2, 4, 5]) {
      assertEquals(await filesOf(`${dir}/meanwhile`, step), await filesOf(`${dir}/waiting`, step));
    }

    const full = (path: string, file: Deno.FsFile) => {
      if (!/\.step-0000004.*optimizer/.test(path)) return;
      file.write = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
    };
    await withDisk(
      full,
      () =>
        assertRejects(() => run("full", gpu), UserError, "optimizer.safetensors: the disk is full"),
    );
    const left = [...Deno.readDirSync(`${dir}/full/checkpoints`)].map(({ name }) => name);
    assertEquals(left, ["step-0000002"]);
    assertEquals(await filesOf(`${dir}/full`, 2), await filesOf(`${dir}/waiting`, 2));
  }));

Deno.test("first weights that several threads make are those of one", async () => {
  const config = parseConfig({
    model_type: "qwen2",
    architectures: ["Qwen2ForCausalLM"],
    hidden_size: 32,
    num_hidden_layers: 3,
    num_attention_heads: 2,
    intermediate_size: 64,
    vocab_size: 1000,
  }, "a model");
  const parts = parameterShapes(config);
  using weights = new InitialWeights(parts, 5, 2);
  for (const [index, part] of parts.entries()) {
    assertEquals(await weights.take(index), initialValues(part, 5, index), part.name);
  }
});

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

async function filesOf(run: string, step: number): Promise<Record<string, string>> {
  const folder = `${run}/checkpoints/step-000000${step}`;
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const read = async (name: string) =>
    [name, (await Deno.readFile(`${folder}/${name}`)).toBase64()] as const;
  return Object.fromEntries(await Promise.all(names.map(read)));
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
