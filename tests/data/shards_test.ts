import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { adoptShards, readManifest, verifyShards } from "../../data/shards/manifest.ts";
import { ShardBlocks, type ShardPosition } from "../../data/shards/shard-blocks.ts";
import { Shard, type ShardFormat } from "../../data/shards/shard-file.ts";
import { ShardWriter } from "../../data/shards/shard-writer.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const BLOCK = 4;
const [END, PADDING] = [151645, 151643];

/** Writes documents, whose tokens are `first`, `first` + 1 …, of those lengths. */
async function writeShards(
  dir: string,
  lengths: number[],
  format: ShardFormat,
  first = 0,
  tokenizer = "test",
) {
  await Deno.mkdir(dir, { recursive: true });
  const writer = new ShardWriter(dir, {
    format,
    tokenizer,
    blockLength: BLOCK,
    blocksPerShard: 5,
    endToken: END,
    paddingToken: PADDING,
  });
  let token = first;
  for (const length of lengths) {
    const tokens = Int32Array.from({ length: length - 1 }, () => token++);
    await writer.add(Int32Array.of(...tokens, END), length % 2 === 0 ? "even" : "odd");
  }
  return await writer.finish();
}

Deno.test("a LITPKDS shard made by hand from the format's definition is read", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = `${dir}/shard.bin`;
    const letters = [0x4C, 0x49, 0x54, 0x50, 0x4B, 0x44, 0x53];
    const version = [1, 0, 0, 0, 0, 0, 0, 0];
    const count = [3, 0, 0, 0, 0, 0, 0, 0];
    const bodies: [code: number, body: number[], tokens: number[]][] = [
      [4, [1, 0, 0, 0, 0x5D, 0x50, 0x02, 0, 0xFF, 0xFF, 0xFF, 0x7F], [1, END, 2 ** 31 - 1]],
      [8, [1, 0, 2, 1, 0xFF, 0xFF], [1, 258, 65535]],
      [1, [7, 8, 255], [7, 8, 255]],
    ];
    for (const [code, body, tokens] of bodies) {
      await Deno.writeFile(path, Uint8Array.of(...letters, ...version, code, ...count, ...body));
      using shard = Shard.open(path);
      assertEquals([shard.format, shard.length], ["litpkds", 3]);
      assertEquals([...shard.read(0, 3)], tokens);
      assertEquals([...shard.read(1, 2)], tokens.slice(1));
    }
    const manifest = await adoptShards(dir, 3);
    assertEquals(manifest.shards.map(({ file, tokens }) => [file, tokens]), [["shard.bin", 3]]);
    const blocks = await ShardBlocks.open({ dirs: [dir], blockLength: 3, seed: 1 });
    assertEquals([...blocks.next()], [7, 8, 255]);
    blocks.close();
  });
});

Deno.test("documents run on from shard to shard; the last is padded", async () => {
  for (const format of ["steel", "litpkds"] as const) {
    await inTemporaryFolder(async (dir) => {
      const manifest = await writeShards(dir, [7, 20, 3], format);
      const padded = format === "litpkds" ? 40 : 32;
      assertEquals(manifest.shards.map(({ tokens }) => tokens), [20, padded - 20]);
      assertEquals(manifest.sources, {
        odd: { documents: 2, tokens: 10 },
        even: { documents: 1, tokens: 20 },
      });
      assertEquals(await readManifest(dir), manifest);
      await verifyShards(dir, manifest);
      const tokens = manifest.shards.flatMap(({ file }) => {
        using shard = Shard.open(`${dir}/${file}`);
        return [...shard.read(0, shard.length)];
      });
      const text = [0, 1, 2, 3, 4, 5, END, ...Array.from({ length: 19 }, (_, i) => i + 6), END];
      assertEquals(tokens, [...text, 25, 26, END, ...Array(padded - 30).fill(PADDING)]);
    });
  }
});

Deno.test("a manifest is only made where there is none, by what the shards' headers tell", async () => {
  await inTemporaryFolder(async (dir) => {
    const manifest = await writeShards(dir, [30], "steel");
    await assertRejects(() => adoptShards(dir, 2048), UserError, "would be overwritten");
    assertEquals(await readManifest(dir), manifest);
    await Deno.remove(`${dir}/manifest.json`);
    const adopted = await adoptShards(dir, 2048);
    assertEquals([adopted.blockLength, adopted.shards], [BLOCK, manifest.shards]);
  });
});

Deno.test("shards that are not what their manifest tells of are refused by name", async () => {
  await inTemporaryFolder(async (dir) => {
    const manifest = await writeShards(dir, [30], "steel");
    const path = `${dir}/${manifest.shards[0].file}`;
    const bytes = await Deno.readFile(path);
    bytes[40] ^= 1;
    await Deno.writeFile(path, bytes);
    await assertRejects(() => verifyShards(dir, manifest), UserError, "it was changed or damaged");
    await Deno.writeFile(path, bytes.subarray(0, 50));
    assertThrows(() => Shard.open(path), UserError, "it is cut short or damaged");
    await Deno.writeTextFile(path, "something else, longer than a header is");
    assertThrows(() => Shard.open(path), UserError, "is not a shard");
    await Deno.remove(path);
    await Deno.mkdir(path);
    assertThrows(() => Shard.open(path), UserError, `${path}: it is a folder`);
    const [entry] = manifest.shards;
    const others = [
      ...[null, [], {}, "constructor", { ...manifest, version: 2 }, { ...manifest, format: "bin" }],
      ...[{ ...manifest, sources: null }, { ...manifest, sources: { a: 1 } }],
      ...[{ ...manifest, blockLength: 0 }, { ...manifest, endToken: "1" }],
      ...[{ ...manifest, shards: {} }, { ...manifest, shards: [null] }],
      ...["../shard.bin", "/shard.bin", "a/b.bin", "..", ""].map((file) => ({
        ...manifest,
        shards: [{ ...entry, file }],
      })),
    ];
    for (const other of others) {
      await Deno.writeTextFile(`${dir}/manifest.json`, JSON.stringify(other));
      const { message } = await assertRejects(() => readManifest(dir), UserError);
      assert(message.includes(`${dir}/manifest.json`) && !message.includes("\n"), message);
    }
    await Deno.remove(`${dir}/manifest.json`);
    await assertRejects(() => readManifest(dir), UserError, "is not a finished folder of shards");
  });
});

/** Opens shards for each rank of a world, at a position if there is one. */
async function openRanks(dirs: string[], world: number, position?: ShardPosition) {
  const ranks = await Promise.all(
    Array.from(
      { length: world },
      (_, rank) => ShardBlocks.open({ dirs, blockLength: BLOCK, seed: 5, rank, world }),
    ),
  );
  if (position) { for (const rank of ranks) rank.seek(JSON.parse(JSON.stringify(position))); }
  return ranks;
}

/** The first tokens of the blocks that all ranks take in a number of steps. */
function take(ranks: ShardBlocks[], steps: number): number[] {
  return Array.from({ length: steps }, () => ranks.map((rank) => rank.next()[0])).flat();
}

Deno.test("over epochs, ranks and appended shards no block is seen twice and none is lost", async () => {
  await inTemporaryFolder(async (dir) => {
    await writeShards(`${dir}/a`, [12 * BLOCK], "steel");
    await writeShards(`${dir}/b`, [6 * BLOCK], "steel", 1000);
    await writeShards(`${dir}/copy`, [6 * BLOCK], "steel", 1000);
    for (const world of [1, 2, 3]) {
      const before = await openRanks([`${dir}/a`], world);
      const seen = take(before, 6 / world);
      const position = before[0].position();
      before.forEach((rank) => rank.close());

      const ranks = await openRanks([`${dir}/a`], world, position);
      for (const rank of ranks) assertEquals(await rank.append(`${dir}/b`), 6);
      await assertRejects(() => ranks[0].append(`${dir}/copy`), UserError, "already has");
      const rest = take(ranks, 6 / world);
      const middle = ranks[0].position();
      rest.push(...take(ranks, 6 / world));
      const firstEpoch = [...seen, ...rest];
      assertEquals(new Set(firstEpoch).size, 18, `${world} ranks`);
      assert(rest.some((token) => token >= 1000) && rest.slice(-6).some((token) => token < 1000));
      const second = take(ranks, 18 / world);
      assertEquals(second.toSorted((a, b) => a - b), firstEpoch.toSorted((a, b) => a - b));
      ranks.forEach((rank) => rank.close());

      // The order does not depend on the number of ranks, nor on a stop in its middle.
      const resumed = await openRanks([`${dir}/a`, `${dir}/b`], 1, middle);
      assertEquals(take(resumed, 24), [...rest.slice(6), ...second]);
      resumed.forEach((rank) => rank.close());
    }
  });
});

Deno.test("a position is refused among other shards", async () => {
  await inTemporaryFolder(async (dir) => {
    await writeShards(`${dir}/a`, [12 * BLOCK], "steel");
    await writeShards(`${dir}/b`, [12 * BLOCK], "steel", 1000);
    const [a] = await openRanks([`${dir}/a`], 1);
    const [b] = await openRanks([`${dir}/b`], 1);
    await writeShards(`${dir}/c`, [12 * BLOCK], "steel", 0, "another");
    await assertRejects(() => a.append(`${dir}/c`), UserError, "with the tokenizer another");
    assertEquals(a.paddingToken, PADDING);
    assertThrows(() => b.seek(a.position()), UserError, "number 1 of the 3 shards");
    assertThrows(() => b.seek({ epoch: 0, index: 0 }), UserError, "other than shards");
    a.close();
    b.close();
  });
});
