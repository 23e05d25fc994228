import { assertEquals, assertRejects } from "@std/assert";
import type { Progress } from "../../data/progress/progress.ts";
import { readManifest, verifyShards } from "../../data/shards/manifest.ts";
import { Shard } from "../../data/shards/shard-file.ts";
import { tokenize, type TokenizeSettings } from "../../data/tokenize.ts";

import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { qwenTokenizerFiles } from "../../data/tokenizer/load-tokenizer-files.ts";

/** Writes a document; returns the settings that make one shard of it. */
async function writeDocument(dir: string): Promise<TokenizeSettings> {
  await Deno.writeTextFile(`${dir}/in.jsonl`, '{"text":"one two three"}\n');
  const sources = [{ name: "one", files: [`${dir}/in.jsonl`] }];
  return { sources, output: `${dir}/out`, sequence: 7 };
}

Deno.test("finished shards stay until there are documents to take their place", async () => {
  await inTemporaryFolder(async (dir) => {
    const settings = await writeDocument(dir);
    const { manifest } = await tokenize(settings);
    await Deno.writeTextFile(`${dir}/empty.jsonl`, "");
    const empty = { name: "empty", files: [`${dir}/empty.jsonl`] };
    await assertRejects(
      () => tokenize({ ...settings, sources: [empty] }),
      UserError,
      "there is no document to tokenize",
    );
    await assertRejects(() => Deno.stat(`${settings.output}/.steel-work`), Deno.errors.NotFound);
    await assertRejects(
      () => tokenize({ ...settings, sources: [{ ...settings.sources[0], weight: 1 }, empty] }),
      UserError,
      "empty has no weight",
    );
    assertEquals(await readManifest(settings.output), manifest);
    await verifyShards(settings.output, manifest);

    await Deno.writeTextFile(`${dir}/in.jsonl`, '{"text":"four"}\n');
    const { manifest: next } = await tokenize(settings);
    assertEquals(next.sources.one.tokens, 2);
    await verifyShards(settings.output, next);
  });
});

Deno.test("a run goes on only with the tokenizer that it had", async () => {
  await inTemporaryFolder(async (dir) => {
    const json = structuredClone((await qwenTokenizerFiles()).tokenizer);
    const tokenizer = `${dir}/tokenizer.json`;
    const settings = { ...await writeDocument(dir), tokenizer };
    const onProgress = ({ task }: Progress) => {
      if (task === "packing") throw new Error("killed");
    };
    await Deno.writeTextFile(tokenizer, JSON.stringify(json));
    await assertRejects(() => tokenize({ ...settings, onProgress }), Error, "killed");

    const added = json.added_tokens as { id: number; content: string }[];
    added.find(({ content }) => content === "<|im_end|>")!.id = 999;
    await Deno.writeTextFile(tokenizer, JSON.stringify(json));
    const { manifest } = await tokenize(settings);
    using shard = Shard.open(`${settings.output}/${manifest.shards[0].file}`);
    assertEquals([manifest.endToken, shard.read(3, 1)[0]], [999, 999]);
  });
});

Deno.test("shards do not take the place of someone else's files or of their own input", async () => {
  await inTemporaryFolder(async (dir) => {
    const settings = await writeDocument(dir);
    const { output } = settings;
    await Deno.mkdir(`${output}/work`, { recursive: true });
    const manifest = '{ "name": "an app", "start_url": "/" }';
    const others = {
      "work/chapter.txt": "precious",
      "shard-00000.bin.bak": "precious",
      "manifest.json": manifest,
    };
    for (const [name, text] of Object.entries(others)) {
      await Deno.writeTextFile(`${output}/${name}`, text);
    }
    await assertRejects(
      () => tokenize(settings),
      UserError,
      "manifest.json is not a file of this program",
    );
    assertEquals(await Deno.readTextFile(`${output}/manifest.json`), manifest);
    await Deno.remove(`${output}/manifest.json`);

    await tokenize(settings);
    for (const name of ["work/chapter.txt", "shard-00000.bin.bak"]) {
      assertEquals(await Deno.readTextFile(`${output}/${name}`), "precious");
    }
    const own = { name: "own", files: [`${output}/shard-00000.bin`] };
    await assertRejects(
      () => tokenize({ ...settings, sources: [...settings.sources, own] }),
      UserError,
      "would overwrite",
    );
    await verifyShards(output, await readManifest(output));
  });
});
