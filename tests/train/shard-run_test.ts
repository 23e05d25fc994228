/** Pretraining from prepared shards, stopped and gone on with, with more shards. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { dirname, join } from "node:path";
import { readManifest, writeManifest } from "../../data/shards/manifest.ts";
import { ShardBlocks } from "../../data/shards/shard-blocks.ts";
import { ShardWriter } from "../../data/shards/shard-writer.ts";
import { tokenize } from "../../data/tokenize.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Tokenizer } from "../../model/tokenizer/tokenizer.ts";
import { microBatchOfBlocks } from "../../train/batches/block-batches.ts";
import { shardText } from "../../train/batches/shard-text.ts";
import { trainedWorkload } from "../../train/bench/workload.ts";
import { pretrain } from "../../train/pretrain.ts";
import { type PretrainSettings, pretrainSettings } from "../../train/settings/pretrain-settings.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { tinySettings } from "./tiny-run.ts";
import { loadTokenizer, qwenTokenizer } from "../../model/host/load-tokenizer.ts";
import { bytePairPieceModel } from "../data/sentence-piece-model.ts";

const BLOCK = 5;

/** Writes Qwen's tokenizer without all tokens but 300; returns it. */
async function writeTokenizer(dir: string): Promise<Tokenizer> {
  const qwen = await qwenTokenizer();
  const vocabulary = qwen.prunedVocabulary(Array(300).keys(), 151936);
  const tokenizer = qwen.withVocabulary(vocabulary);
  await Deno.mkdir(dir);
  for (const [name, text] of Object.entries(tokenizer.files())) {
    await Deno.writeTextFile(`${dir}/${name}`, text);
  }
  return tokenizer;
}

/** Writes blocks that begin with their number; the last lacks a token. */
async function writeShards(dir: string, tokenizer: Tokenizer, first: number, count: number) {
  await Deno.mkdir(dir);
  const writer = new ShardWriter(dir, {
    format: "steel",
    tokenizer: join(dirname(dir), "tokenizer/tokenizer.json"),
    blockLength: BLOCK,
    blocksPerShard: 25,
    endToken: tokenizer.endOfDocument,
    paddingToken: tokenizer.padding,
  });
  for (let block = first; block < first + count; block++) {
    const tokens = [block, 1, 2, 3, tokenizer.endOfDocument].slice(
      0,
      block < first + count - 1 ? 5 : 4,
    );
    await writer.add(Int32Array.from(tokens), "made up");
  }
  await writer.finish();
}

/** With which numbers the blocks begin that a run trains on, which is stopped after so many. */
async function blocksSeen(settings: PretrainSettings, stopAfter = Infinity): Promise<number[]> {
  const seen: number[] = [];
  const next = ShardBlocks.prototype.next;
  ShardBlocks.prototype.next = function () {
    if (seen.length === stopAfter) throw new Error("stopped");
    const block = next.call(this);
    seen.push(block[0]);
    return block;
  };
  try {
    (await pretrain(settings))!.close();
  } catch (error) {
    if ((error as Error).message !== "stopped") throw error;
  } finally {
    ShardBlocks.prototype.next = next;
  }
  return seen;
}

/** Ten blocks a step: in 11 steps, two epochs of the 55 that are not held out. */
async function settingsOf(dir: string, ...more: string[]): Promise<PretrainSettings> {
  const settings = await tinySettings(
    dir,
    "--data.vocabulary=0",
    `--data.sequence=${BLOCK - 1}`,
    "--data.heldOut=0.1",
    "--train.steps=11",
    "--train.microBatch=5",
    "--train.validateEvery=11",
    "--train.validationBlocks=0",
    ...more,
  );
  settings.data.source = [`${dir}/a`];
  return settings;
}

Deno.test("a run stopped and gone on with more shards sees each block once an epoch", () =>
  inTemporaryFolder(async (dir) => {
    const tokenizer = await writeTokenizer(`${dir}/tokenizer`);
    await writeShards(`${dir}/a`, tokenizer, 0, 40);
    await writeShards(`${dir}/b`, tokenizer, 40, 20);
    await writeShards(`${dir}/copy`, tokenizer, 40, 20);
    const refusal = async (...more: string[]) => {
      const settings = await settingsOf(dir, ...more);
      return (await assertRejects(() => pretrain(settings), UserError)).message;
    };
    const append = `--data.append=${dir}/b`;
    assertStringIncludes(await refusal(append), "holds no run yet");
    assertStringIncludes(await refusal("--data.vocabulary=16"), "give --data.vocabulary=0");
    assertStringIncludes(await refusal("--data.heldOut=0.01"), "no block is held out");
    assertStringIncludes(await refusal("--data.heldOut=0.6"), "give at most 0.5");

    await writeShards(`${dir}/wild`, tokenizer, 400, 20);
    const source = (name: string) =>
      settingsOf(dir).then((settings) => {
        settings.data.source = [`${dir}/a`, `${dir}/${name}`];
        return assertRejects(() => pretrain(settings), UserError);
      });
    assertStringIncludes((await source("wild")).message, "hold the token 409, but the tokenizer");
    assertStringIncludes((await source("text.jsonl")).message, "or text alone");

    // In the third step, after the checkpoint of the second.
    const first = await blocksSeen(await settingsOf(dir), 25);
    const second = await blocksSeen(await settingsOf(dir, append), 43);
    assertStringIncludes(await refusal(append), "content that the run already has (MD5");
    assertStringIncludes(await refusal(`--data.append=${dir}/copy`), "already has");
    const third = await blocksSeen(await settingsOf(dir));

    const seen = [...first.slice(0, 20), ...second.slice(0, 40), ...third];
    const heldOut = [9, 19, 34, 49, 59];
    const trained = Array.from({ length: 60 }, (_, i) => i).filter((i) => !heldOut.includes(i));
    const ascending = (blocks: number[]) => blocks.toSorted((x, y) => x - y);
    assertEquals(ascending(seen.slice(0, 55)), trained);
    assertEquals(ascending(seen.slice(55)), trained);
    const [soon, late] = [seen.slice(20, 35), seen.slice(35, 55)];
    assert(soon.some((block) => block >= 40) && late.some((block) => block < 40), "mixed");
    assertStringIncludes(await refusal(append), "is complete");

    // What the benchmark reads of them.
    const workload = (data: string) => trainedWorkload(`${dir}/run`, `${dir}/${data}`, true);
    using known = await workload("a");
    const shape = { microBatch: 2, sequence: known.sequence };
    const { inputs } = known.microBatches(shape);
    assertEquals(inputs.map(({ length }) => length), [64, 64]);
    assertStringIncludes(known.origin, `step-0000011, text of ${dir}/a`);
    using wild = await workload("wild");
    const { message } = assertThrows(() => wild.microBatches(shape), UserError);
    assertStringIncludes(message, "give shards made with its tokenizer");

    const shard = `${dir}/b/shard-00000.bin`;
    const bytes = await Deno.readFile(shard);
    await Deno.writeFile(shard, bytes.with(40, 7));
    assertStringIncludes(await refusal(), `${shard} is not the shard that manifest.json describes`);
    await Deno.writeFile(shard, bytes);
    const manifest = await readManifest(`${dir}/a`);
    await writeManifest(`${dir}/a`, { ...manifest, endToken: 5 });
    assertStringIncludes(await refusal(), "it is not the one that made the shards");
  }));

Deno.test("text is tokenized and trained on with the tokenizer of a model's folder", () =>
  inTemporaryFolder(async (dir) => {
    const folder = `${dir}/model`;
    await Deno.mkdir(folder);
    await Deno.writeFile(
      `${folder}/tokenizer.model`,
      bytePairPieceModel(["ic", "ice", ..."▁ice on"]),
    );
    const tokenizer = await loadTokenizer(folder);
    await Deno.writeTextFile(`${dir}/in.jsonl`, '{"text":"ice on ice"}\n'.repeat(40));
    const sources = [{ name: "ice", files: [`${dir}/in.jsonl`] }];
    const ids = [...tokenizer.encodePrompt("ice on ice"), tokenizer.endOfDocument];
    const shape = { sequence: ids.length - 1, output: `${dir}/shards`, tokenizer: folder };
    const { manifest } = await tokenize({ sources, ...shape });
    assertEquals([manifest.tokenizer, manifest.sources.ice.tokens], [folder, 40 * ids.length]);

    const { data, train } = await pretrainSettings({
      data: { source: [`${dir}/shards`], sequence: ids.length - 1, vocabulary: 0, heldOut: 0.5 },
    });
    const settings = { data, train } as PretrainSettings;
    using text = await shardText(settings, undefined, undefined, () => {});
    assertEquals([...text.blocks.next()], ids);
    assertEquals(text.tokenizer.decode(ids, { skipSpecial: true }), "ice on ice");

    await Deno.remove(`${folder}/tokenizer.model`);
    await assertRejects(
      () => tokenize({ sources, ...shape }),
      UserError,
      `${folder}: there is no tokenizer; expected tokenizer.json`,
    );
  }));

Deno.test("padding is no target", () => {
  const { inputs, labels } = microBatchOfBlocks([Int32Array.of(4, 5, 6, 9, 9)], 9);
  assertEquals([inputs, labels].map(([row]) => [...row as Int32Array]), [
    [4, 5, 6, 9],
    [5, 6, -100, -100],
  ]);
});
