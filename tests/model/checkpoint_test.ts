import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { sizeOf } from "../../kernels/runtime/storage.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { currentFolder, writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import { parseConfig } from "../../model/network/config.ts";
import { parameterShapes } from "../../model/network/parameter-shapes.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { openCheckpoint } from "../../model/host/open-checkpoint.ts";
import { writeCheckpoint } from "../../model/host/write-checkpoint.ts";
import type { TensorEntry } from "../../model/checkpoint/safetensors-header.ts";
import { writeSafetensors } from "../../model/host/write-safetensors.ts";

const JSON_CONFIG = {
  vocab_size: 7,
  hidden_size: 6,
  intermediate_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  n_experts: 2,
  mlp_div_ratio: 2,
  FFN_type: "softmoe_v3",
  mlp_type: "senet",
  eos_token_id: 1,
  torch_dtype: "bfloat16",
  a_key_of_others: true,
};
const CONFIG = parseConfig(JSON_CONFIG, "config.json");
const ENTRIES: TensorEntry[] = parameterShapes(CONFIG).map((one) => ({ ...one, dtype: "F32" }));

/** Values that tell every tensor from every other. */
function valuesOf(name: string, offset = 0): Float32Array {
  const index = ENTRIES.findIndex((entry) => entry.name === name);
  const count = sizeOf(ENTRIES[index].shape);
  return Float32Array.from({ length: count }, (_, i) => offset + index + i / 256);
}

function namesIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

/** A folder with this configuration and these tensors, all zero. */
async function handMade(dir: string, entries: TensorEntry[], config = {}): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...JSON_CONFIG, ...config }));
  await writeSafetensors(
    `${dir}/model.safetensors`,
    entries,
    (name) => new Float32Array(sizeOf(entries.find((entry) => entry.name === name)!.shape)),
  );
}

Deno.test("a checkpoint comes back, in one file or in shards", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/runs/first/step-10`;
    for (const maxShardBytes of [undefined, 600]) {
      await writeCheckpoint(path, {
        config: CONFIG,
        dtype: "F32",
        tensors: valuesOf,
        files: { "tokenizer.json": "{}" },
        maxShardBytes,
      });
      using checkpoint = await openCheckpoint(path);
      assertEquals(checkpoint.config.source.a_key_of_others, true);
      assertEquals(checkpoint.config.source.torch_dtype, "float32");
      for (const { name } of ENTRIES) {
        assertEquals(await checkpoint.readFloat32(name), valuesOf(name));
      }
    }
    const names = namesIn(path);
    const shards = names.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
    assert(shards.length > 2);
    assertEquals(names.filter((name) => !shards.includes(name)), [
      "config.json",
      "generation_config.json",
      "model.safetensors.index.json",
      "tokenizer.json",
    ]);
    const index = JSON.parse(await Deno.readTextFile(`${path}/model.safetensors.index.json`));
    assertEquals(Object.keys(index.weight_map), ENTRIES.map(({ name }) => name));
    const bytes = ENTRIES.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
    assertEquals(index.metadata.total_size, bytes);
    assertEquals(namesIn(`${dir}/runs/first`), ["step-10"]);
  }));

Deno.test("every missing, extra and misshapen tensor is named at once", () =>
  inTemporaryFolder(async (dir) => {
    const wrong = ENTRIES
      .filter(({ name }) => name !== "model.layers.1.mlp.phi" && name !== "lm_head.weight")
      .map((entry) => entry.name === "model.norm.weight" ? { ...entry, shape: [5] } : entry)
      .concat([
        { name: "model.layers.1.mlp.phy", shape: [1], dtype: "F32" },
        { name: "model.layers.0.self_attn.rotary_emb.inv_freq", shape: [1], dtype: "F32" },
      ]);
    await handMade(dir, wrong);
    const error = await assertRejects(() => openCheckpoint(dir), UserError);
    assertEquals(
      error.message,
      `${dir}: the tensors are not those that config.json describes: ` +
        `model.layers.1.mlp.phi [6,2,1] is missing; lm_head.weight [7,6] is missing; ` +
        `model.norm.weight is [5], expected [6]; ` +
        `model.layers.1.mlp.phy is not one of the model's (most like model.layers.1.mlp.phi)`,
    );
  }));

Deno.test("with tied embeddings the head may be there or not", () =>
  inTemporaryFolder(async (dir) => {
    for (const entries of [ENTRIES, ENTRIES.filter(({ name }) => name !== "lm_head.weight")]) {
      await handMade(dir, entries, { tie_word_embeddings: true });
      (await openCheckpoint(dir)).close();
    }
  }));

Deno.test("what a folder lacks is said", () =>
  inTemporaryFolder(async (dir) => {
    await assertRejects(
      () => openCheckpoint(`${dir}/none`),
      UserError,
      "none: there is no checkpoint",
    );
    await Deno.writeTextFile(`${dir}/config.json`, "{");
    await assertRejects(() => openCheckpoint(dir), UserError, "config.json: not valid JSON");
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(JSON_CONFIG));
    await assertRejects(() => openCheckpoint(dir), UserError, "there are no weights");
    const index = `${dir}/model.safetensors.index.json`;
    await Deno.writeTextFile(index, `{"weight_map":{"a":"../a.safetensors"}}`);
    await assertRejects(() => openCheckpoint(dir), UserError, "a file in the same folder");
    await Deno.writeTextFile(index, `{"weight_map":{"a":"a.safetensors"}}`);
    await assertRejects(() => openCheckpoint(dir), UserError, "a.safetensors: there is no such");
  }));

Deno.test("counts that the weights cannot have are refused before anything is made of them", () =>
  inTemporaryFolder(async (dir) => {
    await writeCheckpoint(dir, { config: CONFIG, dtype: "F32", tensors: valuesOf });
    for (const [key, count] of [["n_experts", 1e12], ["num_hidden_layers", 1e9]] as const) {
      await Deno.writeTextFile(
        `${dir}/config.json`,
        JSON.stringify({ ...JSON_CONFIG, [key]: count }),
      );
      // Layers or experts of that number would take all memory.
      await assertRejects(
        () => openCheckpoint(dir),
        UserError,
        `config.json: "${key}" is ${count}`,
      );
      const settings = { ...JSON_CONFIG, [key]: count };
      assertThrows(() => parseConfig(settings, "settings"), UserError, `"${key}" is ${count}`);
    }
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(JSON_CONFIG));
    await Deno.remove(`${dir}/model.safetensors`);
    await Deno.mkdir(`${dir}/model.safetensors`);
    await assertRejects(() => openCheckpoint(dir), UserError, "model.safetensors: it is a folder");
  }));

Deno.test("a write that fails leaves the old folder and nothing else", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/last`;
    const contents = { config: CONFIG, dtype: "F32", tensors: valuesOf } as const;
    await writeCheckpoint(path, contents);
    const failing = (name: string) => {
      if (name === "model.norm.weight") throw new Error("the device is lost");
      return valuesOf(name, 1000);
    };
    await assertRejects(
      () => writeCheckpoint(path, { ...contents, tensors: failing }),
      Error,
      "the device is lost",
    );
    using checkpoint = await openCheckpoint(path);
    assertEquals(await checkpoint.readFloat32("lm_head.weight"), valuesOf("lm_head.weight"));
    assertEquals(namesIn(dir), ["last"]);
  }));

Deno.test("a kill at any moment of a write leaves a whole folder, and the next write tidies up", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/last`;
    const make = async (folder: string, text: string) => {
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeTextFile(`${folder}/state`, text);
    };
    const read = async () => await Deno.readTextFile(`${await currentFolder(path)}/state`);
    const write = () => writeFolderAtomically(path, (aside) => make(aside, "newer"));

    // What the disk holds after a kill: while writing, between the renames, before the clean-up.
    const kills: [folders: Record<string, string>, found: string][] = [
      [{ "last": "old", ".last.partial-77": "ne" }, "old"],
      [{ ".last.previous": "old", ".last.partial-77": "new" }, "old"],
      [{ "last": "new", ".last.previous": "old" }, "new"],
    ];
    for (const [folders, found] of kills) {
      for (const [name, text] of Object.entries(folders)) await make(`${dir}/${name}`, text);
      assertEquals(await read(), found);
      await write();
      assertEquals(await read(), "newer");
      assertEquals(namesIn(dir), ["last"]);
      await Deno.remove(path, { recursive: true });
    }
    await assertRejects(() => openCheckpoint(path), UserError);

    // A first write that never finished is no folder at all.
    await make(`${dir}/.last.partial-77`, "ne");
    assertStringIncludes(await currentFolder(path), "last");
    await assertRejects(read, Deno.errors.NotFound);
  }));
