import { assert, assertEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "hyparquet-writer";
import { clean, type CleanSettings } from "../../data/clean.ts";
import type { Progress } from "../../data/progress/progress.ts";
import { parseRecipe } from "../../data/recipe.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const RECIPE = parseRecipe(
  `
process:
  - whitespace_normalization_mapper:
  - text_length_filter: { min_len: 5 }
  - document_simhash_deduplicator: { tokenization: character, window_size: 3, keep_empty: true }
`,
  "recipe.yaml",
);

/** Documents of three kinds: distinct ones, near copies of them, and ones that are too short. */
const TEXTS = Array.from({ length: 900 }, (_, i) => {
  const base = Array.from(
    { length: 40 },
    (_, k) => String.fromCharCode(0x4E00 + (i * 37 + k * k * 11) % 5000),
  );
  if (i % 3 === 1) return base.join("") + " ";
  return i % 3 === 2 ? "短" : base.join("");
});

async function jsonLines(path: string, records: unknown[]): Promise<string> {
  await Deno.writeTextFile(path, records.map((record) => JSON.stringify(record) + "\n").join(""));
  return path;
}

async function readLines(path: string) {
  const text = await Deno.readTextFile(path);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Cleans two files of the texts in a folder, the second a copy of the first. */
async function cleanTwice(dir: string, settings: Partial<CleanSettings> = {}) {
  const records = TEXTS.map((text, id) => ({ id, text }));
  const inputs = [
    await jsonLines(`${dir}/a.jsonl`, records),
    await jsonLines(`${dir}/b.jsonl`, records),
  ];
  const report = await clean({ recipe: RECIPE, inputs, output: `${dir}/out.jsonl`, ...settings });
  return { report, output: await readLines(`${dir}/out.jsonl`) };
}

Deno.test("a recipe keeps the first of near copies over all files, and says what it dropped", async () => {
  await inTemporaryFolder(async (dir) => {
    const { report, output } = await cleanTwice(dir, {
      statistics: `${dir}/stats.jsonl`,
      traces: { path: `${dir}/traces.jsonl`, ofEach: 2 },
    });
    assertEquals(output.map(({ id }) => id), [...TEXTS.keys()].filter((i) => i % 3 !== 2));
    assert(output.every(({ text }) => text === text.trim()));
    assertEquals([report.read.documents, report.kept.documents], [1800, 600]);
    assertEquals(report.steps.map(({ reached, changed, dropped }) => [reached, changed, dropped]), [
      [1800, 600, 0],
      [1800, 0, 600],
      [1200, 0, 600],
    ]);
    assertEquals(Object.keys(report.kept.sources), [`${dir}/a.jsonl`]);
    const statistics = await readLines(`${dir}/stats.jsonl`);
    assertEquals(statistics.length, 1800);
    assertEquals(statistics[2], {
      text_len: 1,
      file: `${dir}/a.jsonl`,
      place: "line 3",
      dropped_by: "text_length_filter",
    });
    const traces = await readLines(`${dir}/traces.jsonl`);
    assertEquals(traces.map(({ operator, place }) => [operator, place]), [
      ["whitespace_normalization_mapper", "line 2"],
      ["text_length_filter", "line 3"],
      ["whitespace_normalization_mapper", "line 5"],
      ["text_length_filter", "line 6"],
    ]);
    assertEquals((await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).toSorted(), [
      "a.jsonl",
      "b.jsonl",
      "out.jsonl",
      "stats.jsonl",
      "traces.jsonl",
    ]);
  });
});

Deno.test("after a deduplicator it is still known where documents are from", async () => {
  await inTemporaryFolder(async (dir) => {
    const long = "一篇足够长的文章，有二十个字以上，所以留下来。";
    const inputs = [
      await jsonLines(`${dir}/a.jsonl`, [{ text: "短", id: 1 }, { text: "不短", id: 2 }]),
      await jsonLines(`${dir}/wiki.jsonl`, [{ completion: long }]),
    ];
    const recipe = parseRecipe(
      "process: [document_deduplicator, { text_length_filter: { min_len: 2 } }]",
      "recipe.yaml",
    );
    const traces = { path: `${dir}/traces.jsonl`, ofEach: 1 };
    const written = { output: `${dir}/out.jsonl`, traces, statistics: `${dir}/statistics.jsonl` };
    const { kept, warnings } = await clean({ recipe, inputs, ...written });
    assertEquals(warnings, [
      "the statistics lack those of text_length_filter, which come after a deduplicator",
    ]);
    assertEquals(Object.keys(kept.sources), [inputs[0], "wikipedia-cn"]);
    assertEquals(await readLines(written.output), [
      { text: "不短", id: 2 },
      { text: long.normalize("NFKC"), source: "wikipedia-cn", file: inputs[1], place: "line 1" },
    ]);
    const [{ file, place }] = await readLines(traces.path);
    assertEquals([file, place], [inputs[0], "line 1"]);
  });
});

Deno.test("the number of workers does not change the output", async () => {
  await inTemporaryFolder(async (dir) => {
    const { output: alone } = await cleanTwice(dir);
    const { output: together } = await cleanTwice(dir, { workers: 2 });
    assertEquals(together, alone);
  });
});

Deno.test("a run that broke off goes on without doing finished files again", async () => {
  await inTemporaryFolder(async (dir) => {
    const breakOff = ({ status }: Progress) => {
      if (status.startsWith("b.jsonl")) throw new Error("killed");
    };
    await assertRejects(() => cleanTwice(dir, { onProgress: breakOff }), Error, "killed");
    const cleaned: Progress[] = [];
    const { output } = await clean({
      recipe: RECIPE,
      inputs: [`${dir}/a.jsonl`, `${dir}/b.jsonl`],
      output: `${dir}/out.jsonl`,
      onProgress: (progress) => {
        if (progress.task === "cleaning") cleaned.push(progress);
      },
    }).then(async () => ({ output: await readLines(`${dir}/out.jsonl`) }));
    // The first file is reported as done at once.
    assertEquals(cleaned.slice(0, 3).map(({ status }) => status), [
      "a.jsonl, 0 documents",
      "a.jsonl, 900 documents",
      "b.jsonl, 1,800 documents",
    ]);
    assertEquals(cleaned.at(-1)!.done, cleaned[0].total);
    assertEquals(output.length, 600);
  });
});

Deno.test("what cannot be read is counted, or with strict refused with file and line", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = `${dir}/bad.jsonl`;
    await Deno.writeTextFile(path, '{"text":"一二三四五六"}\n{"txt":1}\n{"text":"六五四三二一"}\n');
    const settings = { recipe: RECIPE, inputs: [path], output: `${dir}/out.jsonl` };
    const report = await clean(settings);
    assertEquals([report.kept.documents, report.problems.passedOver], [2, 1]);
    assertEquals(report.problems.first[0].place, "line 2");
    await Deno.remove(settings.output);
    await assertRejects(
      () => clean({ ...settings, strict: true }),
      UserError,
      `${path}, line 2: it has no field "text"`,
    );
    await assertRejects(() => Deno.stat(settings.output), Deno.errors.NotFound);

    await Deno.writeFile(`${dir}/latin.txt`, new Uint8Array([0xE9]));
    const { problems: latin } = await clean({ ...settings, inputs: [`${dir}/latin.txt`, path] });
    assertEquals([latin.first[0].place, latin.first[0].reason], ["text 1", "it is not UTF-8"]);

    await Deno.writeFile(`${dir}/cut.jsonl.gz`, new Uint8Array([0x1F, 0x8B, 8, 0]));
    const cut = await clean({ ...settings, inputs: [`${dir}/cut.jsonl.gz`, path] });
    assertEquals([cut.kept.documents, cut.problems.passedOver], [2, 2]);

    await Deno.writeTextFile(`${dir}/empty.jsonl`, "");
    const inputs = [`${dir}/empty.jsonl`];
    const { problems } = await clean({ ...settings, inputs: [...inputs, path] });
    assertEquals(problems.first[0].reason, `${dir}/empty.jsonl is empty`);
    await assertRejects(() => clean({ ...settings, inputs, strict: true }), UserError, "is empty");
    const before = await Deno.readTextFile(settings.output);
    const noDocument = `there is no document to clean\n  ${dir}/empty.jsonl is empty`;
    await assertRejects(() => clean({ ...settings, inputs }), UserError, noDocument);
    await assertRejects(() => Deno.stat(`${settings.output}.steel-work`), Deno.errors.NotFound);
    assertEquals(await Deno.readTextFile(settings.output), before);
    // That nothing is left for what comes after a deduplicator is no mistake of the file.
    const nothingLeft = parseRecipe(
      "process: [{ text_length_filter: { min_len: 99 } }, document_deduplicator, text_length_filter]",
      "recipe",
    );
    await Deno.writeTextFile(path, '{"text":"一二三四五六"}\n');
    const none = await clean({ ...settings, recipe: nothingLeft, strict: true });
    assertEquals([none.kept.documents, none.problems.passedOver], [0, 0]);

    await assertRejects(
      () => clean({ ...settings, inputs: [`${dir}/none.jsonl`] }),
      UserError,
      "none.jsonl: there is no such file",
    );
  });
});

Deno.test("a text under another name is written out as text, once", async () => {
  await inTemporaryFolder(async (dir) => {
    const records = [{ id: 1, content: " 一二三四五六 ", x: 2 }, { content: null }, { text: "七" }];
    const inputs = [await jsonLines(`${dir}/in.jsonl`, records)];
    const recipe = parseRecipe(
      "text_keys: content\nprocess: [whitespace_normalization_mapper, document_deduplicator]",
      "recipe.yaml",
    );
    for (const corpus of [undefined, "plain"]) {
      const settings = {
        recipe,
        inputs,
        output: `${dir}/out.jsonl`,
        reading: { corpus, asPublished: false },
      };
      const { leftOut, problems } = await clean(settings);
      assertEquals(await readLines(settings.output), [{ id: 1, x: 2, text: "一二三四五六" }]);
      assertEquals([leftOut, problems.passedOver], [1, 1]);
    }
  });
});

Deno.test("numbers of a record come out as they went in, however long", async () => {
  await inTemporaryFolder(async (dir) => {
    const line =
      '{"id":12345678901234567891,"ratio":0.8947368421052632,"text":"一","n":[-3,1.5]}\n';
    await Deno.writeTextFile(`${dir}/in.jsonl`, line);
    await Deno.writeFile(
      `${dir}/in.parquet`,
      new Uint8Array(parquetWriteBuffer({
        columnData: [{ name: "id", data: [2n ** 62n + 1n] }, { name: "text", data: ["二"] }],
      })),
    );
    const inputs = [`${dir}/in.jsonl`, `${dir}/in.parquet`];
    const recipe = parseRecipe("process: []", "recipe.yaml");
    await clean({ recipe, inputs, output: `${dir}/out.jsonl` });
    const expected = line + '{"id":4611686018427387905,"text":"二"}\n';
    assertEquals(await Deno.readTextFile(`${dir}/out.jsonl`), expected);
  });
});

Deno.test("a line of 50 MB is a document like others", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = `${dir}/long.jsonl`;
    await Deno.writeTextFile(
      path,
      `{"text":"${"长".repeat(17_000_000)}"}\n{"text":"一二三四五六"}\n`,
    );
    const recipe = parseRecipe(
      "process: [{ text_length_filter: { min_len: 1, max_len: 100000 } }]",
      "r.yaml",
    );
    const report = await clean({ recipe, inputs: [path], output: `${dir}/out.jsonl` });
    assertEquals([report.read.documents, report.kept.documents], [2, 1]);
    assertEquals(report.read.characters, 17_000_006);
  });
});

Deno.test("sources that are as many as documents are counted together", async () => {
  await inTemporaryFolder(async (dir) => {
    const pages = Array.from(
      { length: 3000 },
      (_, i) => ({ text: `${i}`, source: i === 0 ? "constructor" : `https://${i}` }),
    );
    const inputs = [
      await jsonLines(`${dir}/a.jsonl`, pages.slice(0, 1800)),
      await jsonLines(`${dir}/b.jsonl`, pages.slice(1200)),
    ];
    const recipe = parseRecipe("process: [document_deduplicator]", "recipe.yaml");
    const { read, kept } = await clean({ recipe, inputs, output: `${dir}/out.jsonl` });
    for (const [{ sources, documents }, all] of [[read, 3600], [kept, 3000]] as const) {
      assertEquals(Object.keys(sources).length, 1001);
      assertEquals(documents, all);
      const counts = Object.values(sources).map(({ documents }) => documents);
      assertEquals(counts.reduce((sum, count) => sum + count), all);
    }
  });
});

Deno.test("as many traces are written as there are", async () => {
  await inTemporaryFolder(async (dir) => {
    const letters = [..."abcdefghijklmnopqrst"];
    const inputs = [
      await jsonLines(`${dir}/in.jsonl`, Array(7000).fill({ text: letters.join("") })),
    ];
    const steps = letters.map((letter) => ({
      name: "remove_specific_chars_mapper",
      arguments: { chars_to_remove: letter },
    }));
    const traces = { path: `${dir}/traces.jsonl`, ofEach: 1e9 };
    await clean({ recipe: { ...RECIPE, steps }, inputs, output: `${dir}/out.jsonl`, traces });
    assertEquals((await Deno.readTextFile(traces.path)).match(/\n/g)?.length, 140_000);
  });
});

Deno.test("documents that hold a benchmark's question are dropped and listed", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.mkdir(`${dir}/benchmark/test`, { recursive: true });
    await Deno.writeTextFile(
      `${dir}/benchmark/test/x.csv`,
      "id,question,A,B,C,D,answer\n0,下列关于光的折射的说法中正确的是____。,甲,乙,丙,丁,A\n1,短的问题,1,2,3,4,B\n",
    );
    const texts = ["前文。下列关于光的折射的说法中，正确的是（ ）后文", "这是一个短的问题", "无关"];
    const inputs = [await jsonLines(`${dir}/a.jsonl`, texts.map((text) => ({ text })))];
    const recipe = parseRecipe(
      `process: [{ benchmark_questions_filter: { benchmarks: ["${dir}/benchmark"] } }]`,
      "recipe.yaml",
    );
    const report = await clean({ recipe, inputs, output: `${dir}/out.jsonl` });
    assertEquals((await readLines(`${dir}/out.jsonl`)).map(({ text }) => text), texts.slice(1));
    assertEquals(report.listed.map(({ place, reason }) => [place, reason]), [
      ["line 1", 'it holds the question "下列关于光的折射的说法中正确的是"'],
    ]);
  });
});

Deno.test("no output takes the place of an input or of another output", async () => {
  await inTemporaryFolder(async (dir) => {
    const input = await jsonLines(`${dir}/in.jsonl`, [{ text: "一二三四五六" }]);
    const before = await Deno.readTextFile(input);
    await Deno.symlink(dir, `${dir}/link`);
    const output = `${dir}/out.jsonl`;
    const mistakes: Partial<CleanSettings>[] = [
      { output: input },
      { output: `${dir}/link/in.jsonl` },
      { traces: { path: `${dir}/./in.jsonl`, ofEach: 1 } },
      { statistics: `${dir}/link/out.jsonl` },
      { statistics: `${dir}/s`, traces: { path: `${dir}/s`, ofEach: 1 } },
      { output: `${dir}/o`, perplexity: { reference: [`${dir}/o`] } },
    ];
    await Deno.copyFile(input, `${dir}/o`);
    for (const mistake of mistakes) {
      const settings = { recipe: RECIPE, inputs: [input], output, ...mistake };
      await assertRejects(() => clean(settings), UserError, "would overwrite");
    }
    await Deno.mkdir(`${dir}/folder`);
    for (const mistake of [{ output: `${dir}/folder` }, { statistics: `${dir}/folder` }]) {
      const settings = { recipe: RECIPE, inputs: [input], output, ...mistake };
      await assertRejects(() => clean(settings), UserError, "give the name of a file");
      await assertRejects(() => Deno.stat(`${settings.output}.steel-work`), Deno.errors.NotFound);
    }
    assertEquals(await Deno.readTextFile(input), before);
    assertEquals(await Deno.readTextFile(`${dir}/o`), before);
  });
});

Deno.test("a folder that only has a work folder's name is left alone", async () => {
  await inTemporaryFolder(async (dir) => {
    const inputs = [await jsonLines(`${dir}/in.jsonl`, [{ text: "一二三四五六" }])];
    const folder = `${dir}/out.jsonl.steel-work`;
    await Deno.mkdir(`${folder}/thesis`, { recursive: true });
    await Deno.writeTextFile(`${folder}/thesis/chapter.txt`, "precious");
    await assertRejects(
      () => clean({ recipe: RECIPE, inputs, output: `${dir}/out.jsonl` }),
      UserError,
      "thesis in it is not a file of this program",
    );
    assertEquals(await Deno.readTextFile(`${folder}/thesis/chapter.txt`), "precious");
  });
});

Deno.test("a work folder killed while it is made, emptied or removed is still known", async () => {
  await inTemporaryFolder(async (dir) => {
    const inputs = [await jsonLines(`${dir}/in.jsonl`, [{ text: "一二三四五六" }])];
    const output = `${dir}/out.jsonl`;
    const folder = `${output}.steel-work`;
    await Deno.mkdir(folder);
    await clean({ recipe: RECIPE, inputs, output });
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/task.json.unfinished`, "{");
    await clean({ recipe: RECIPE, inputs, output });

    const remove = Deno.remove;
    for (let removed = 0, killed = true; killed; removed++) {
      // Every other run is another task, which empties the folder before its own work.
      const strict = removed % 2 === 1;
      let left = removed;
      Deno.remove = async (...args) => {
        if (left-- === 0) throw new Error("killed");
        await remove(...args);
      };
      try {
        killed = await clean({ recipe: RECIPE, inputs, output, strict }).then(
          () => false,
          ({ message }) => assertEquals(message, "killed") ?? true,
        );
      } finally {
        Deno.remove = remove;
      }
    }
    assertEquals((await readLines(output)).length, 1);
    await assertRejects(() => Deno.stat(folder), Deno.errors.NotFound);
  });
});
