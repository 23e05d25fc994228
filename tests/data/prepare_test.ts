import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { loadDocumentEncoder } from "../../data/tokenizing/tokenize-job.ts";
import { drawDocuments } from "../../data/tokenizing/mixture.ts";
import { clean } from "../../data/clean.ts";
import { exists } from "../../data/files/exists.ts";
import { Lock } from "../../data/files/lock.ts";
import type { Progress } from "../../data/progress/progress.ts";
import { tokenize } from "../../data/tokenize.ts";
import { prepare } from "../../data/prepare.ts";
import { readPrepareSettings } from "../../data/read-prepare-settings.ts";
import { readManifest, verifyShards } from "../../data/shards/manifest.ts";
import { Shard } from "../../data/shards/shard-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const SETTINGS = `
sequence: 31
blocksPerShard: 40
sources:
  - { name: chinese, files: zh, recipe: steel-zh, weight: 3 }
  - { name: english, files: en.jsonl, weight: 1 }
`;

/** Writes two sources and their settings into a folder; returns the settings' path. */
async function writeSources(dir: string): Promise<string> {
  await Deno.mkdir(`${dir}/zh`);
  const chinese = (i: number) =>
    Array.from(
      { length: 90 },
      (_, k) => String.fromCharCode(0x4E00 + (i * 977 + k * k * 31) % 9000),
    )
      .join("") + "。";
  for (const half of [0, 1]) {
    const texts = Array.from({ length: 60 }, (_, i) => ({ completion: chinese(60 * half + i) }));
    await Deno.writeTextFile(`${dir}/zh/${half}.json`, JSON.stringify(texts));
  }
  const english = Array.from({ length: 40 }, (_, i) => ({ text: `The ${i}th short document.` }));
  await Deno.writeTextFile(`${dir}/en.jsonl`, english.map((r) => JSON.stringify(r)).join("\n"));
  await Deno.writeTextFile(`${dir}/mixture.yaml`, SETTINGS);
  return `${dir}/mixture.yaml`;
}

async function readShards(dir: string): Promise<number[]> {
  const manifest = await readManifest(dir);
  await verifyShards(dir, manifest);
  return manifest.shards.flatMap(({ file }) => {
    using shard = Shard.open(`${dir}/${file}`);
    return [...shard.read(0, shard.length)];
  });
}

Deno.test("published files become shards: cleaned, mixed by weight, tokenized, packed", async () => {
  await inTemporaryFolder(async (dir) => {
    const settings = await readPrepareSettings(await writeSources(dir));
    const { cleaned, tokenized } = await prepare({ ...settings, output: `${dir}/out` });
    assertEquals(cleaned.chinese.kept.documents, 120);
    const [zh, en] = settings.sources;
    const drops = { steps: [{ name: "text_length_filter", arguments: { min_len: 1e6 } }] };
    const recipe = { textKey: "text", ignored: [], path: "long.yaml", ...drops };
    const none = { ...settings, sources: [{ ...zh, recipe }, en], output: `${dir}/none` };
    await assertRejects(() => prepare(none), UserError, "long.yaml keeps none of its documents");
    const { chinese, english } = tokenized.manifest.sources;
    assert(Math.abs(chinese.tokens / (chinese.tokens + english.tokens) - 0.75) < 0.02);
    assertEquals(english.documents, 40);

    const { encoder, endToken: end, paddingToken: padding } = await loadDocumentEncoder();
    const tokens = await readShards(`${dir}/out`);
    assertEquals(tokens.length % 32, 0);
    assertEquals(tokens.filter((token) => token === end).length, chinese.documents + 40);
    const text = tokens.filter((token) => token !== padding);
    assertEquals(text.length, chinese.tokens + english.tokens);
    const first = (await Deno.readTextFile(`${dir}/out/clean/chinese.jsonl`)).split("\n")[0];
    const expected = [...encoder.encode(JSON.parse(first).text), end];
    assertEquals(text.slice(0, expected.length), expected);
  });
});

Deno.test("prepare killed in its midst and run again ends with the same shards", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = await writeSources(dir);
    const settings = await readPrepareSettings(path);
    await prepare({ ...settings, output: `${dir}/whole` });
    const output = `${dir}/killed`;
    // Once while the first source is cleaned, once while the tokens of the last are packed.
    for (
      const sign of [
        `${output}/clean/chinese.jsonl.steel-work/1-1.json`,
        `${output}/.steel-work/2.json`,
      ]
    ) {
      const run = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-check", "--allow-read", "--allow-write", "--allow-env"],
          new URL("../../data/data-command.ts", import.meta.url).pathname,
          ...["prepare", "--settings", path, "--output", output, "--workers", "1"],
        ],
        stdout: "null",
        stderr: "null",
      }).spawn();
      const watch = setInterval(() => {
        // It may be dead already, or not have come so far.
        Deno.stat(sign).then(() => run.kill("SIGKILL")).catch(() => {});
      }, 2);
      await run.status;
      clearInterval(watch);
    }
    await prepare({ ...settings, output });
    assertEquals(await readShards(output), await readShards(`${dir}/whole`));
    const names = await Array.fromAsync(Deno.readDir(output), ({ name }) => name);
    assert(names.every((name) => !name.endsWith(".unfinished")), names.join(" "));
  });
});

Deno.test({
  name: "prepare that is told to end removes what is unfinished, and ends the same when run again",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemporaryFolder(async (dir) => {
      const path = await writeSources(dir);
      const english = Array.from(
        { length: 30_000 },
        (_, i) => ({ text: `Document ${i}. `.repeat(9) }),
      );
      await Deno.writeTextFile(`${dir}/en.jsonl`, english.map((r) => JSON.stringify(r)).join("\n"));
      const output = `${dir}/out`;
      for (const [signal, status] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
        const run = new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "--no-check", "--allow-all"],
            new URL("../../data/data-command.ts", import.meta.url).pathname,
            ...["prepare", "--settings", path, "--output", output, "--workers", "1"],
          ],
          stdin: "null",
          stdout: "null",
          stderr: "piped",
        }).spawn();
        // The first source is done, the second is being turned into tokens.
        while (!await exists(`${output}/.steel-work/2.tokens.unfinished`)) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        run.kill(signal);
        const { code, stderr } = await run.output();
        const said = new TextDecoder().decode(stderr);
        assertEquals(code, status, said);
        assert(
          said.endsWith(
            `Stopped (${signal}). What is finished is kept: the same command goes on from there.\n`,
          ),
          said,
        );
        const left = [...Deno.readDirSync(output), ...Deno.readDirSync(`${output}/.steel-work`)];
        const names = left.map(({ name }) => name).toSorted();
        assertEquals(names, [
          ".steel-work",
          "1.json",
          "1.lengths",
          "1.tokens",
          "clean",
          "task.json",
        ]);
      }
      const settings = await readPrepareSettings(path);
      await prepare({ ...settings, output });
      await prepare({ ...settings, output: `${dir}/whole` });
      assertEquals(await readShards(output), await readShards(`${dir}/whole`));
    }),
});

Deno.test("what was finished and is damaged since is told, and made again to the same shards", async () => {
  await inTemporaryFolder(async (dir) => {
    const settings = await readPrepareSettings(await writeSources(dir));
    const output = `${dir}/out`;
    await prepare({ ...settings, output });
    const shards = await readShards(output);
    const flip = async (path: string) => {
      const bytes = await Deno.readFile(path);
      bytes[bytes.length >> 1] ^= 4;
      await Deno.writeFile(path, bytes);
    };
    const cleaned = `${output}/clean/chinese.jsonl`;
    const tokens = `${output}/.steel-work/1.tokens`;
    const damages: [path: string, damage: () => Promise<void>][] = [
      [cleaned, () => Deno.truncate(cleaned)], // as two processes in one folder once left it
      [cleaned, () => Deno.remove(cleaned)],
      [cleaned, () => flip(cleaned)],
      [`${cleaned}.done.json`, () => flip(`${cleaned}.done.json`)],
      [tokens, () => Deno.truncate(tokens)],
      [tokens, () => flip(tokens)],
      [`${output}/.steel-work/1.json`, () => flip(`${output}/.steel-work/1.json`)],
    ];
    for (const [path, damage] of damages) {
      const onProgress = ({ task }: Progress) => {
        if (task === "packing") throw new Error("killed");
      };
      await assertRejects(() => prepare({ ...settings, output, onProgress }), Error, "killed");
      await damage();
      const said: string[] = [];
      await prepare({ ...settings, output, onMessage: (text) => said.push(text) });
      assert(said.length === 1 && said[0].startsWith(`${path} is `), `${path}: ${said}`);
      assertEquals(await readShards(output), shards);
    }
  });
});

Deno.test("a folder or a file that another process writes is left to it", async () => {
  await inTemporaryFolder(async (dir) => {
    const settings = {
      ...await readPrepareSettings(await writeSources(dir)),
      output: `${dir}/out`,
    };
    const refusal = ": another process writes here";
    {
      await using _ = await Lock.ofFolder(`${dir}/out`);
      await using _one = await Lock.beside(`${dir}/one.jsonl`);
      await assertRejects(() => prepare(settings), UserError, `${dir}/out${refusal}`);
      await assertRejects(() => tokenize({ ...settings, sources: [] }), UserError, refusal);
      const recipe = { textKey: "text", steps: [], ignored: [] };
      const cleaning = { recipe, inputs: [`${dir}/en.jsonl`] };
      const [one, two] = [`${dir}/one.jsonl`, `${dir}/two.jsonl`];
      for (const written of [{ output: one }, { output: two, statistics: one }]) {
        await assertRejects(() => clean({ ...cleaning, ...written }), UserError, refusal);
      }
    }
    await prepare(settings);
    const hidden = [...Deno.readDirSync(`${dir}/out`)].filter(({ name }) => name.startsWith("."));
    assertEquals(hidden, []);
  });
});

Deno.test("a source is cleaned again if the benchmarks that it must not hold have changed", async () => {
  await inTemporaryFolder(async (dir) => {
    const questions = ["Which of these rivers runs to the north?", "The 27th short document."];
    await Deno.mkdir(`${dir}/benchmark`);
    await Deno.writeTextFile(`${dir}/benchmark/a.csv`, `question\n${questions[0]}\n`);
    const values = { benchmarks: `${dir}/benchmark` };
    await Deno.writeTextFile(
      `${dir}/own.yaml`,
      JSON.stringify({ process: [{ benchmark_questions_filter: values }] }),
    );
    const path = await writeSources(dir);
    const source = { name: "english", files: "en.jsonl", recipe: "own.yaml" };
    await Deno.writeTextFile(path, JSON.stringify({ sequence: 31, sources: [source] }));
    const settings = { ...await readPrepareSettings(path), output: `${dir}/out` };
    assertEquals((await prepare(settings)).cleaned.english.kept.documents, 40);
    await Deno.writeTextFile(`${dir}/benchmark/b.csv`, `question\n${questions[1]}\n`);
    assertEquals((await prepare(settings)).cleaned.english.kept.documents, 39);
  });
});

Deno.test("prepare does not take the place of someone else's files", async () => {
  await inTemporaryFolder(async (dir) => {
    const settings = await readPrepareSettings(await writeSources(dir));
    const output = `${dir}/out`;
    await Deno.mkdir(`${output}/clean`, { recursive: true });
    for (const file of [`${output}/report.json`, `${output}/clean/chinese.jsonl`]) {
      await Deno.writeTextFile(file, "precious");
      await assertRejects(
        () => prepare({ ...settings, output }),
        UserError,
        "is not a file of this program",
      );
      assertEquals(await Deno.readTextFile(file), "precious");
      await Deno.remove(file);
    }
    const file = `${dir}/en.jsonl`;
    await assertRejects(() => prepare({ ...settings, output: file }), UserError, "cannot be made");
  });
});

Deno.test("a folder's files are all that is in it, but for what is hidden", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = await writeSources(dir);
    await Deno.mkdir(`${dir}/zh/.cache/huggingface`, { recursive: true });
    await Deno.mkdir(`${dir}/zh/more`);
    for (const name of [".gitattributes", ".cache/huggingface/0.json.lock", "more/2.json"]) {
      await Deno.writeTextFile(`${dir}/zh/${name}`, "[]");
    }
    const { sources } = await readPrepareSettings(path);
    assertEquals(
      sources[0].files,
      ["0.json", "1.json", "more/2.json"].map((f) => `${dir}/zh/${f}`),
    );
  });
});

Deno.test("the mixture has its shares all along, and stops when a source runs out", () => {
  const order = [...drawDocuments([
    { name: "a", tokens: 100, lengths: Array(10).fill(10), weight: 1 },
    { name: "b", tokens: 1000, lengths: Array(50).fill(20), weight: 3 },
  ])];
  assertEquals(order.filter((source) => source === 0).length, 10);
  assertEquals(order.filter((source) => source === 1).length, 15);
  const half = order.slice(0, 12);
  assertEquals(half.filter((source) => source === 0).length, 5);
  assertThrows(
    () => [...drawDocuments([
      { name: "a", tokens: 1, lengths: [1], weight: 1 },
      { name: "b", tokens: 1, lengths: [1] },
    ])],
    UserError,
    "b has no weight, but other sources have",
  );
});

Deno.test("without weights all is taken, whichever source is empty", () => {
  const empty = { name: "empty", tokens: 0, lengths: [] };
  const full = { name: "full", tokens: 3, lengths: [1, 2] };
  assertEquals([...drawDocuments([empty, full, empty])], [1, 1]);
  assertEquals([...drawDocuments([full, empty])], [0, 0]);
  assertEquals([...drawDocuments([empty])], []);
});

Deno.test("settings that cannot be are refused with file and key", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = await writeSources(dir);
    const inside = `${dir}/zh/shards`;
    await assertRejects(() => readPrepareSettings(path, inside), UserError, "in the input folder");
    const refusals: [yaml: string, message: string][] = [
      ["sources: []", '"sources" must be a list'],
      ["sources: [{ name: a, files: none.jsonl }]", "none.jsonl: there is no such file"],
      ["sources: [{ name: a/b, files: en.jsonl }]", '"name" must be a word'],
      ["sources: [{ name: a, files: en.jsonl, weigth: 2 }]", 'there is no key "weigth"'],
      ["sources: [{ name: a, files: en.jsonl, weight: 0 }]", '"weight" must be a number above 0'],
      ["sources: [{ name: a, files: en.jsonl, weight: .inf }]", '"weight" must be a number above'],
      [
        "sources: [{ name: a, files: en.jsonl, weight: 1 }, { name: b, files: en.jsonl }]",
        `${path}: b has no weight`,
      ],
      ["sources: [{ name: a, files: [] }]", '"files" must name files or folders'],
      ["sources: [{ name: a, files: en.jsonl }]\nsequence: 1e99", '"sequence" must be a whole'],
      [
        "sources: [{ name: a, files: en.jsonl, perplexity: { reference: en.jsonl } }]",
        'give "recipe" too',
      ],
      ["sources: [{ name: a, files: en.jsonl, recipe: steel-xx }]", "steel-text, steel-code or"],
      ["sources: [{ name: a, files: en.jsonl, perplexity: { arpa: a } }]", "expected either"],
      ["sources: [{ name: a, files: en.jsonl }, { name: a, files: zh }]", 'are named "a"'],
      [
        "sources: [{ name: a, files: en.jsonl }]\nsequence: 1e12",
        "sequence is 1000000000000: expected at most 1048576",
      ],
      [
        "sources: [{ name: a, files: en.jsonl }]\nformat: litpkds\nblocksPerShard: 1e12",
        "expected at most 2096128 blocks of 2049 tokens",
      ],
      ["sources: [{ name: a, files: en.jsonl }]\nsequence: many", '"sequence" must be a whole'],
      ["sources: [{ name: a, files: en.jsonl }]\nformat: bin", '"format" must be steel or'],
    ];
    // Of two sources that are wrong the first is told, and the other does not end the process.
    const twoWrong = "sources: [{ name: a, files: none.jsonl }, { name: b, colour: red }]";
    refusals.push([twoWrong, "none.jsonl: there is no such file"]);
    for (const [yaml, message] of refusals) {
      await Deno.writeTextFile(path, yaml);
      await assertRejects(() => readPrepareSettings(path), UserError, message);
    }
  });
});

Deno.test("a recipe's path is relative to the settings", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = await writeSources(dir);
    await Deno.writeTextFile(`${dir}/own.yaml`, "process: [clean_email_mapper]");
    await Deno.writeTextFile(path, "sources: [{ name: a, files: en.jsonl, recipe: own.yaml }]");
    const { sources } = await readPrepareSettings(path);
    assertEquals(sources[0].recipe?.steps[0].name, "clean_email_mapper");
  });
});
