import {
  assert,
  assertEquals,
  assertIsError,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { constants, zstdCompressSync } from "node:zlib";
import { clean } from "../../data/clean.ts";
import type { CleanReport } from "../../data/cleaning/clean-report.ts";
import { cleanReportPage } from "../../data/cleaning/clean-report-page.ts";
import { numberOption, readFlags } from "../../data/data-flags.ts";
import { cleanSummary, inspectFile } from "../../data/data-summary.ts";
import { toHtml } from "../../data/page/html.ts";
import { readReport } from "../../data/read-report.ts";
import { parseRecipe } from "../../data/recipe.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const COMMAND = new URL("../../data/data-command.ts", import.meta.url).pathname;

async function data(...args: string[]) {
  const { success, code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--allow-all", COMMAND, ...args],
  }).output();
  const decoder = new TextDecoder();
  return { success, code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("clean writes documents, statistics, traces and a report, and says what it did", async () => {
  await inTemporaryFolder(async (dir) => {
    const lines = ['{"text":"one two three"}', '{"text":"x"}', "no json"];
    await Deno.writeTextFile(`${dir}/in.jsonl`, lines.join("\n"));
    await Deno.writeTextFile(
      `${dir}/recipe.yaml`,
      "np: 4\nprocess: [{ text_length_filter: { min_len: 5 } }, { perplexity_filter: { lang: zh } }]",
    );
    const { success, stdout, stderr } = await data(
      ...["clean", "--recipe", `${dir}/recipe.yaml`, "--input", `${dir}/in.jsonl`],
      ...["--output", `${dir}/out.jsonl`, "--stats", `${dir}/stats.jsonl`],
      ...["--trace", `${dir}/trace.jsonl`, "--workers", "1"],
    );
    assert(success, stderr);
    for (
      const told of [
        "the recipe's key np has no effect here",
        "1 of 2 documents stay",
        "warning: perplexity_filter was left out: it needs a model (--perplexity-model",
        "in.jsonl, line 3: it is not JSON",
      ]
    ) assert(stdout.includes(told), stdout);
    assertEquals(await Deno.readTextFile(`${dir}/out.jsonl`), lines[0] + "\n");
    const report = JSON.parse(await Deno.readTextFile(`${dir}/out.jsonl.report.json`));
    assertEquals(report.kept.documents, 1);
    const page = await Deno.readTextFile(`${dir}/out.jsonl.report.html`);
    assert(page.includes("text_length_filter") && page.includes("<svg"));
    assert(!/(?:src|href)="http/.test(page));
  });
});

Deno.test("mistakes are told in words, without a stack trace", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/in.jsonl`, '{"text":"one"}\n{"txt":"two"}\n');
    await Deno.writeTextFile(`${dir}/shards.json`, '{"shards":[]}');
    await Deno.writeTextFile(`${dir}/none.jsonl`, '{"txt":"one"}\n');
    await Deno.mkdir(`${dir}/empty`);
    await Deno.mkdir(`${dir}/fold`);
    await Deno.copyFile(`${dir}/in.jsonl`, `${dir}/fold/in.jsonl`);
    const recipe = `${dir}/recipe.yaml`;
    await Deno.writeTextFile(recipe, "process: [clean_email_mapper]");
    const clean = ["--input", `${dir}/in.jsonl`, "--output", `${dir}/out.jsonl`];
    const mistakes: [args: string[], message: string][] = [
      [["report", `${dir}/shards.json`], "shards.json is not a report of cleaning"],
      [["inspect", `${dir}/empty`], "empty: there is no file in it"],
      [["inspect", `${dir}/in.jsonl`, "--adopt"], "--adopt is for folders of shards"],
      [
        ["tokenize", "--input", `${dir}/in.jsonl`, "--output", `${dir}/in.jsonl`],
        "in.jsonl: this folder cannot be made: there is a file of that name",
      ],
      [
        ["tokenize", "--input", `${dir}/fold`, "--output", `${dir}/fold`],
        "fold lies in the input folder",
      ],
      [
        ["dedup", "--input", dir, "--output", `${dir}/fold/out.jsonl`],
        "out.jsonl lies in the input folder",
      ],
      [
        ["tokenize", "--input", `${dir}/none.jsonl`, "--output", `${dir}/shards`],
        'none.jsonl, line 1: it has no field "text"',
      ],
      [
        ["clean", "--recipe", recipe, "--input", `${dir}/in.jsonl`, "--output", recipe],
        `the output ${recipe} would overwrite`,
      ],
      [
        ["clean", "--recipe", recipe, ...clean, "--stats", `${dir}/out.jsonl.report.json`],
        "out.jsonl.report.json would overwrite",
      ],
      [["clean", "--recipe", "steel-text", ...clean, "--percentile", "30"], "--percentile needs"],
      [["clean", "--recipe", "steel-text", ...clean, "--tokenizer", "t"], "the recipe has none"],
      [
        ["clean", "--recipe", "steel-text", ...clean, "--sentencepiece", "m"],
        "the recipe has none",
      ],
      [
        ["clean", "--recipe", recipe, ...clean, "--perplexity-reference", `${dir}/in.jsonl`],
        "the recipe has no perplexity_filter",
      ],
      [["clean", "--recipe", "steel-text", ...clean, "--perplexity-model", "a"], "--sentencepiece"],
      [["clean", "--recipe", "steel-zh", ...clean, "--strict"], 'line 2: it has no field "text"'],
    ];
    for (const [args, message] of mistakes) {
      const { success, stderr } = await data(...args);
      assertEquals(success, false);
      assert(stderr.includes(message) && !/\n {4}at /.test(stderr), stderr);
    }
  });
});

Deno.test("what a command does not take, or what would change nothing, is refused", () => {
  const files = ["--input", "a", "b", "--output", "c"];
  const mistakes: [args: string[], message: string][] = [
    [["clean", ...files, "--fast"], "Unknown argument --fast"],
    [["clean", ...files, "--exact"], "clean takes no --exact"],
    [["clean", "stray.jsonl", ...files], "what to do with stray.jsonl"],
    [["tokenize", ...files, "--decontaminate", "d"], "tokenize takes no --decontaminate"],
    [["prepare", "--settings", "a.yaml", ...files], "prepare takes no --input"],
    [["inspect", "a", "--format", "steel"], "inspect takes no --format"],
    [["claen"], 'There is no command "claen"'],
    [["constructor"], 'no command "constructor"'],
    [["dedup", ...files, "--decontaminate", "d"], "dedup takes no --decontaminate"],
    [["dedup", ...files, "--trace", "d"], "dedup takes no --trace"],
    [["--strict"], "Say what to do"],
    [["clean", ...files, "--traced", "5"], "--trace FILE.jsonl"],
    [["clean", ...files, "--decontaminate"], "--decontaminate needs a value"],
    [["dedup", ...files, "--exact", "--tokenization", "space"], "give one of them"],
    [["inspect", "a", "--sequence", "64"], "--sequence N needs --adopt"],
  ];
  for (const [args, message] of mistakes) assertThrows(() => readFlags(args), UserError, message);
  assertEquals(readFlags(["dedup", ...files, "--exact"]).options.input, ["a", "b"]);
  for (const count of ["1.5", "0", "99999999999999999999"]) {
    const flags = readFlags(["tokenize", "--sequence", count]);
    assertThrows(() => numberOption(flags, "sequence"), UserError, "expected a whole number");
  }
});

Deno.test("whatever is missing in a report, it is refused or shown", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/in.jsonl`, '{"text":"one two three"}\nno json\n');
    const recipe = parseRecipe("process: [clean_email_mapper, perplexity_filter]", "recipe");
    const settings = { recipe, inputs: [`${dir}/in.jsonl`], output: `${dir}/out.jsonl` };
    const listed = { operator: "benchmark_questions_filter", file: "a", place: "b", reason: "c" };
    const whole = { ...await clean(settings), listed: [listed] };
    const path = `${dir}/report.json`;
    let refused = 0;
    for (const place of placesOf(whole)) {
      const broken = structuredClone(whole) as unknown as Branch;
      const parent = place.slice(0, -1).reduce((branch, key) => branch[key] as Branch, broken);
      parent[place.at(-1)!] = null;
      await Deno.writeTextFile(path, JSON.stringify(broken));
      try {
        const report = await readReport(path) as CleanReport;
        assert(
          cleanSummary(report) !== "" && toHtml(cleanReportPage(report)).endsWith("</html>\n"),
        );
      } catch (error) {
        assertIsError(error, UserError, "is not a report of cleaning");
        refused++;
      }
    }
    assert(refused > 40, `${refused}`);
    await Deno.writeTextFile(path, JSON.stringify(whole));
    assertEquals(await readReport(path), JSON.parse(JSON.stringify(whole)));
  });
});

type Branch = { [key: string]: Branch | null };

/** The keys that lead to every value within a value. */
function placesOf(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [key],
    ...placesOf(inner).map((place) => [key, ...place]),
  ]);
}

Deno.test("of a damaged file it is shown what can be read", async () => {
  await inTemporaryFolder(async (dir) => {
    const path = `${dir}/cut.json`;
    await Deno.writeTextFile(path, '[{"text":"one"},{"text":');
    const { documents, summary } = await inspectFile(path);
    assertEquals(documents, 1);
    for (const told of [`1 document of ${path}`, 'entry 1: "one"', "its array is not closed"]) {
      assert(summary.includes(told), summary);
    }
  });
});

Deno.test("inspect ends with status 1 and no advice to train where no document can be read", async () => {
  await inTemporaryFolder(async (dir) => {
    const [whole, damaged] = [`${dir}/whole.jsonl`, `${dir}/damaged.jsonl.zst`];
    await Deno.writeTextFile(whole, '{"text":"one"}\n');
    const compressed = zstdCompressSync('{"text":"one"}\n', {
      params: { [constants.ZSTD_c_checksumFlag]: 1 },
    });
    compressed[compressed.length - 1] ^= 1;
    await Deno.writeFile(damaged, compressed);
    const { code, stdout, stderr } = await data("inspect", damaged, whole);
    assertEquals(code, 1, stdout);
    assertMatch(stdout, /damaged\.jsonl\.zst\n0 documents\n.*\n.*damaged/);
    assertStringIncludes(stdout, "1 document of"); // what stands behind is still shown
    assert(!stdout.includes("Next:"), stdout);
    assertStringIncludes(stderr, `error: ${damaged}: no document can be read from it`);
  });
});

Deno.test("a full disk ends the run in words and leaves no output", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/in.jsonl`, '{"text":"one two three"}\n');
    await Deno.writeTextFile(`${dir}/recipe.yaml`, "process: [clean_email_mapper]");
    // Whatever is written to this device finds no space left.
    await new Deno.Command("ln", { args: ["-s", "/dev/full", `${dir}/out.jsonl.unfinished`] })
      .output();
    const { success, stderr } = await data(
      ...["clean", "--recipe", `${dir}/recipe.yaml`, "--input", `${dir}/in.jsonl`],
      ...["--output", `${dir}/out.jsonl`, "--workers", "1"],
    );
    assertEquals(success, false);
    assert(stderr.includes("free some space and run the same command again"), stderr);
    const names = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
    assert(!names.includes("out.jsonl"), names.join(" "));
  });
});

Deno.test("prepare tells what could not be read, damaged files first", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/a.jsonl`, '{"text":"one"}\n' + "no json\n".repeat(200));
    await Deno.writeTextFile(`${dir}/b.jsonl.gz`, "no gzip");
    const files = ["a.jsonl", "b.jsonl.gz"].map((name) => ({ name, files: name }));
    await Deno.writeTextFile(`${dir}/mixture.yaml`, JSON.stringify({ sources: files }));
    const { success, stdout } = await data(
      ...["prepare", "--settings", `${dir}/mixture.yaml`, "--output", `${dir}/out`],
      ...["--sequence", "7", "--workers", "1"],
    );
    assert(success);
    const told = stdout.slice(stdout.indexOf("passed over, records or files: 201;")).split("\n");
    assert(
      told[1].includes("b.jsonl.gz is damaged") && told[2].includes("a.jsonl, line 2"),
      stdout,
    );
    const { tokenized } = JSON.parse(await Deno.readTextFile(`${dir}/out/report.json`));
    assertEquals(tokenized.problems.first.length, 100);
    const page = await Deno.readTextFile(`${dir}/out/report.html`);
    assertStringIncludes(page, "a.jsonl, line 2: it is not JSON");
  });
});

Deno.test("prepare has one page over all its sources, which report makes again", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/a.jsonl`, '{"text":"one two three"}\n{"text":"x"}\n');
    await Deno.writeTextFile(`${dir}/b.txt`, "four five six seven eight nine ten");
    await Deno.writeTextFile(`${dir}/recipe.yaml`, "process: [text_length_filter: {min_len: 5}]");
    const sources = [
      { name: "first", files: "a.jsonl", recipe: "recipe.yaml" },
      { name: "constructor", files: "b.txt", recipe: "recipe.yaml" },
      { name: "plain", files: "b.txt" },
    ];
    await Deno.writeTextFile(`${dir}/mixture.yaml`, JSON.stringify({ sources }));
    const command = [
      ...["prepare", "--settings", `${dir}/mixture.yaml`, "--output", `${dir}/out`],
      ...["--sequence", "7", "--workers", "1"],
    ];
    await Deno.mkdir(`${dir}/out`);
    await Deno.writeTextFile(`${dir}/out/report.html`, "mine");
    assertStringIncludes((await data(...command)).stderr, "report.html is not a file of this");
    await Deno.remove(`${dir}/out/report.html`);
    const prepared = await data(...command);
    assert(prepared.success, prepared.stderr);
    const page = await Deno.readTextFile(`${dir}/out/report.html`);
    const headings = [...page.matchAll(/<h2[^>]*>(.*?)<\/h2>/g)].map(([, text]) => text);
    assertEquals(headings, ["Mixture", "Cleaning of first", "Cleaning of constructor"]);
    assertMatch(page, /<td>first<\/td><td data-label="read">2<\/td><td data-label="kept">1</);
    assertMatch(page, /<td>plain<\/td><td data-label="read"><\/td><td data-label="kept"><\/td>/);

    await Deno.remove(`${dir}/out/report.html`);
    const again = await data("report", `${dir}/out/report.json`);
    assertStringIncludes(again.stdout, `${dir}/out/report.html\nOpen it in a browser. Next: `);
    const trains =
      `task pretrain --data.source=${dir}/out --data.vocabulary=0 --run.dir=runs/out\n`;
    assert(again.stdout.endsWith(trains), again.stderr);
    const inspected = await data("inspect", `${dir}/a.jsonl`, `${dir}/out`);
    assert(inspected.stdout.endsWith(trains), inspected.stderr);
    const { stdout } = await data("inspect", `${dir}/out`, `${dir}/a.jsonl`);
    assert(stdout.endsWith(`--data.source=${dir}/a.jsonl --data.tokens=0 --run.dir=runs/a\n`));
    assertEquals(await Deno.readTextFile(`${dir}/out/report.html`), page);
    const report = JSON.parse(await Deno.readTextFile(`${dir}/out/report.json`));
    report.tokenized.manifest.sources.plain.tokens = "many";
    await Deno.writeTextFile(`${dir}/out/report.json`, JSON.stringify(report));
    const { stderr } = await data("report", `${dir}/out/report.json`);
    assertStringIncludes(stderr, "is not a report of cleaning or preparing");
  });
});

Deno.test("dedup drops what is nearly the same, and does not take indentation for likeness", async () => {
  await inTemporaryFolder(async (dir) => {
    const code = (names: string[]) =>
      names.map((name) => `${" ".repeat(24)}self.${name} = ${name}\n`).join("");
    const texts = [
      code(["width", "height", "depth", "colour", "weight"]),
      code(["author", "publisher", "year", "pages", "language"]),
      code(["width", "height", "depth", "colour", "weight"]).trim(),
    ];
    const lines = texts.map((text) => JSON.stringify({ text }) + "\n");
    await Deno.writeTextFile(`${dir}/in.jsonl`, lines.join(""));
    const { success, stderr } = await data(
      ...["dedup", "--input", `${dir}/in.jsonl`, "--output", `${dir}/out.jsonl`, "--workers", "1"],
    );
    assert(success, stderr);
    assertEquals(await Deno.readTextFile(`${dir}/out.jsonl`), lines[0] + lines[1]);

    const twice = JSON.stringify({ text: "a, b, c, d, e, f, g" }) + "\n";
    await Deno.writeTextFile(`${dir}/in.jsonl`, twice + twice);
    await data(
      ...["dedup", "--tokenization", "punctuation", "--workers", "1"],
      ...["--input", `${dir}/in.jsonl`, "--output", `${dir}/out.jsonl`],
    );
    assertEquals(await Deno.readTextFile(`${dir}/out.jsonl`), twice);
  });
});
