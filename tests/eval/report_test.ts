import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { comparisonTable } from "../../eval/compare.ts";
import { alwaysLetter } from "../../eval/answerer.ts";
import { reportCommand } from "../../eval/report/report-command.ts";
import { readReportData } from "../../eval/report/report-data.ts";
import { readResults } from "../../model/host/evaluation-results.ts";
import { runEvaluation } from "../../eval/run-evaluation.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { SUBJECTS, writeMadeUpCeval } from "./made-up-ceval.ts";

/** A run of two stages and an evaluation; `use` gets its folder. */
const withRun = (use: (run: string) => Promise<void>) =>
  inTemporaryFolder(async (folder) => {
    const run = `${folder}/run`;
    const lines = (records: unknown[]) =>
      records.map((record) => JSON.stringify(record) + "\n").join("");
    for (const stage of ["poems", "mine"]) {
      await Deno.mkdir(`${run}/${stage}`, { recursive: true });
    }
    await Deno.writeTextFile(
      `${run}/poems/metrics.jsonl`,
      lines([
        { step: 1, loss: 9.5, learningRate: 1e-3, tokens: 64, tokensPerSecond: 100, seconds: 90 },
        { step: 2, loss: 8.25, learningRate: 5e-4, tokens: 128, tokensPerSecond: 300, seconds: 30 },
        {
          step: 3,
          loss: 8,
          learningRate: 0,
          tokens: 192,
          tokensPerSecond: 200,
          validationLoss: 8.125,
          gpus: 2,
          shareWaited: 0.125,
        },
      ]) + '{"step": 4, "lo',
    );
    await Deno.writeTextFile(`${run}/poems/settings.yaml`, "train:\n  steps: 3\n  seed: 7\n");
    await Deno.writeTextFile(
      `${run}/poems/samples.txt`,
      "春<b>眠\n不觉晓\n\n----\n\n明月 & 光\n",
    );
    await Deno.writeTextFile(
      `${run}/poems/facts.json`,
      JSON.stringify({
        ...{ device: "a <GPU>", machine: "2 cores", tokensBySource: { poems: 3, prose: 1 } },
        ...{ began: "2025-11-27T18:02:11.5Z", commit: "0123abc", unigramEntropy: 9.25 },
        ...{ examBefore: 0.25, examAfter: 0.5 },
      }),
    );
    await Deno.writeTextFile(
      `${run}/mine/metrics.jsonl`,
      lines([{ step: 1, loss: 0.69, chosenReward: 0.5 }]),
    );
    await Deno.writeTextFile(
      `${run}/mine/settings.yaml`,
      `model:\n  path: ${run}/poems/checkpoints/step-0000003\nloss:\n  kind: sigmoid\n`,
    );
    await Deno.writeTextFile(
      `${run}/mine/samples.txt`,
      "问：你是<谁>？\n答：我是\n小钢。\n\n----\n\n问：几岁？\n答：\n",
    );
    await writeMadeUpCeval(`${folder}/the data`);
    await runEvaluation({
      ...{ benchmark: "ceval", protocol: "official", data: `${folder}/the data` },
      ...{ out: `${run}/eval/ceval`, subjects: [...Object.keys(SUBJECTS), "law"] },
      ...{ chainOfThought: false, batch: 8, seed: 0, keepGoing: true },
    }, { ...alwaysLetter("A"), precision: "mixed" });
    await use(run);
  });

Deno.test("a report is one page that needs nothing else, and the same in Markdown", async () => {
  await withRun(async (run) => {
    await reportCommand([run]);
    const html = await Deno.readTextFile(`${run}/report.html`);
    const markdown = await Deno.readTextFile(`${run}/report.md`);

    // Names of XML vocabularies are the only addresses; nothing is fetched and nothing runs.
    const addresses = new Set(html.match(/https?:\/\/[^"' <)]+/g));
    assertEquals([...addresses].filter((address) => !address.startsWith("http://www.w3.org/")), []);
    assert(!/<script|<link rel="stylesheet"|@import|url\(\s*['"]?(?!#)|\son\w+=/.test(html));
    const headings = [...html.matchAll(/<h2 id="[^"]*">(.*?)<\/h2>/g)].map(([, text]) => text);
    assertEquals(headings, ["poems", "mine", "Evaluations", "To reproduce"]);
    assertStringIncludes(html, "春&lt;b&gt;眠\n不觉晓");
    assertStringIncludes(html, "a &lt;GPU&gt;");
    assertStringIncludes(
      html,
      '<div class="user"><dt>user</dt><dd>你是&lt;谁&gt;？</dd></div>' +
        '<div class="model"><dt>model</dt><dd>我是\n小钢。</dd></div>',
    );
    assertStringIncludes(html, ">unigram entropy 9.25</text>");

    // What happened comes first; what always answers A tells nothing of it.
    const opening = markdown.slice(0, markdown.indexOf("\n## "));
    for (
      const text of [
        "- poems: loss: **9.500 → 8.125**\n- poems: exam: **25.0 → 50.0 %**",
        "| poems (pretrain) | 2025-11-27 18:02 UTC | 2m00s | 3 | 192 |",
        "Trained on a \\<GPU\\> (2 cores).",
      ]
    ) assertStringIncludes(opening, text);
    assertNotMatch(opening, /always:A/);

    for (
      const text of [
        "- validation loss: **8.125**",
        "- tokens/s, median: **200**",
        "- GPUs: **2**",
        "- tokens/s a GPU, median: **100**",
        "- waited for other GPUs, median: **12.5 %**",
        "training from 9.500 at step 1 to 8.000 at step 3; validation from 8.125 at step 3",
        "*Speed, tokens/s: 100 to 300, 200 at the end*",
        "*Rewards: chosen 0.5*",
        "*Share of the tokens: poems 75.0 %, prose 25.0 %*",
        "| train.seed | 7 |",
        "> 春\\<b\\>眠  \n> 不觉晓",
        "> **user:** 你是\\<谁\\>？\n>\n> **model:** 我是  \n> 小钢。",
        "| all | 4 | 22 | 27.56 ± 10.73 | 27.27 ± 9.72 |",
        "| Steel-LLM-1B-Chat (paper) | 41.90 | 36.08 | 30.82 |",
      ]
    ) assertStringIncludes(markdown, text);
    const pictures = [...markdown.matchAll(/!\[.*\]\((.*)\)/g)].map(([, path]) => path);
    assertEquals(pictures[0], "report-charts/01-loss.svg");
    assertEquals(pictures.length, html.match(/<figure/g)!.length);
    for (const path of pictures) {
      assertMatch(await Deno.readTextFile(`${run}/${path}`), /^<svg [^]*<\/svg>\s*$/);
    }
  });
});

Deno.test("a report's commands train again in folders of their own, from one another", async () => {
  await withRun(async (run) => {
    await reportCommand([`${run}/`]);
    const markdown = await Deno.readTextFile(`${run}/report.md`);
    const { began, commit } = await readResults(`${run}/eval/ceval`);
    assertStringIncludes(
      markdown,
      [
        "```sh",
        "git checkout 0123abc",
        "# poems: began 2025-11-27 18:02 UTC, trained for 2m00s",
        `deno task pretrain --config ${run}/poems/settings.yaml \\`,
        `  --run.dir=${run}/again/poems`,
        `deno task dpo --config ${run}/mine/settings.yaml \\`,
        `  --model.path=${run}/again/poems/checkpoints/step-0000003 \\`,
        `  --run.dir=${run}/again/mine`,
        // Undefined where the tests run outside a checkout.
        ...(commit === undefined ? [] : [`git checkout ${commit}`]),
        `# C-Eval of always:A: began ${began!.slice(0, 16).replace("T", " ")} UTC`,
        `deno task eval ceval --data '${run.replace(/run$/, "the data")}' \\`,
        `  --model always:A --out ${run}/again/eval/ceval \\`,
        "  --protocol official --split val --shots 5 \\",
        "  --subjects computer_network,marxism,logic,physician,law \\",
        "  --precision mixed --keep-going --seed 0",
        `deno task report ${run}/again`,
        "```",
      ].join("\n"),
    );
    // Of one run alone, beside it.
    await reportCommand([`${run}/poems`]);
    assertStringIncludes(
      await Deno.readTextFile(`${run}/poems/report.md`),
      `  --run.dir=${run}/poems-again\n`,
    );
  });
});

Deno.test("results of any other shape are refused in one line that names the file", async () => {
  await inTemporaryFolder(async (folder) => {
    await writeMadeUpCeval(`${folder}/ceval`);
    const out = `${folder}/results`;
    const settings = { benchmark: "ceval", protocol: "official", data: `${folder}/ceval`, out };
    await runEvaluation({ ...settings, subjects: Object.keys(SUBJECTS) }, alwaysLetter("A"));
    const file = `${out}/results.json`;
    const results = JSON.parse(await Deno.readTextFile(file));
    assertEquals((await readResults(out)).questions, results.questions);
    const { scores } = results;
    const others = [
      ...[null, [], {}, "constructor", { ...results, problems: [1] }, { ...results, shots: "5" }],
      ...[{ ...results, scores: {} }, { ...results, scores: null }, { ...results, speed: 1 }],
      { ...results, scores: { ...scores, maps: [] } },
      { ...results, scores: { ...scores, overall: { ...scores.overall, micro: null } } },
      { ...results, scores: { ...scores, subjects: [{ subject: "law" }] } },
    ];
    for (const other of others) {
      await Deno.writeTextFile(file, JSON.stringify(other));
      const { message } = await assertRejects(() => readResults(out), UserError, file);
      assertNotMatch(message, /\n/);
    }
    // Of a benchmark that is not known here, there are results all the same.
    const { columns } = comparisonTable([{ ...results, benchmark: "x", title: "X" }]);
    assert(columns.includes("X"), columns.join());
  });
});

Deno.test("folders that hold no run, or a damaged one, are said to", async () => {
  await withRun(async (run) => {
    await assertRejects(() => reportCommand([`${run}/none`]), UserError, "no such folder");
    await assertRejects(
      () => reportCommand([`${run}/metrics.jsonl`]),
      UserError,
      "metrics.jsonl: there is no such folder",
    );
    await Deno.mkdir(`${run}/empty`);
    await assertRejects(() => reportCommand([`${run}/empty`]), UserError, "nothing to report");
    await Deno.writeTextFile(`${run}/empty/metrics.jsonl`, '{"loss": 1}\n');
    await assertRejects(
      () => reportCommand([`${run}/empty`]),
      UserError,
      "metrics.jsonl:1: not a measurement",
    );
    await Deno.writeTextFile(`${run}/empty/metrics.jsonl`, '{"step": 1, "loss": null}\n\0\n');
    const said: string[] = [];
    await readReportData(`${run}/empty`, (text) => said.push(text));
    assertStringIncludes(
      said.join(),
      "metrics.jsonl:2: not a measurement of this program; the line",
    );
    await reportCommand([`${run}/empty`]);
    for (const settings of ["", "a: [", "train: 3\n", "- train\n", "a: &a\n  b: *a\n"]) {
      await Deno.writeTextFile(`${run}/empty/settings.yaml`, settings);
      const error = await assertRejects(() => reportCommand([`${run}/empty`]), UserError);
      assertMatch(error.message, /settings\.yaml(:\d+)?: not /);
    }
    await Deno.remove(`${run}/empty/settings.yaml`);
    for (
      const facts of ["[]", '{"began": 3}', '{"examBefore": "1"}', '{"tokensBySource": {"a": "b"}}']
    ) {
      await Deno.writeTextFile(`${run}/empty/facts.json`, facts);
      await assertRejects(() => reportCommand([`${run}/empty`]), UserError, "facts.json");
    }
    await Deno.remove(`${run}/empty/facts.json`);
    await Deno.remove(`${run}/empty/report.html`);
    await Deno.mkdir(`${run}/empty/report.html`);
    await assertRejects(
      () => reportCommand([`${run}/empty`]),
      UserError,
      "report.html: it is a folder; expected the name of a file",
    );
    await Deno.writeTextFile(`${run}/empty/results.json`, '{"protocol": "sft", "title": "Exam"}');
    await assertRejects(
      () => reportCommand([`${run}/empty`]),
      UserError,
      "results.json: not the results of an evaluation",
    );
    await assertRejects(() => reportCommand([run, run]), UserError, "one folder at a time");
    await assertRejects(() => reportCommand([]), UserError, "Give the folder of a run");
    await assertRejects(() => reportCommand([run, "--pdf"]), UserError, "and no options");
  });
});
