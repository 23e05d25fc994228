import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { evalCommand } from "../../eval/eval-command.ts";
import { readResults } from "../../model/host/evaluation-results.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { TEXT, writePruned } from "../model/pruned-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { writeMadeUpCeval } from "./made-up-ceval.ts";

/** What a command line prints. */
async function printed(...argv: string[]): Promise<string> {
  const lines: string[] = [];
  const log = console.log;
  console.log = (line: string) => void lines.push(line);
  try {
    await evalCommand(argv);
  } finally {
    console.log = log;
  }
  return lines.join("\n");
}

Deno.test("a benchmark is scored, written, and set beside published models", () =>
  inTemporaryFolder(async (folder) => {
    await writeMadeUpCeval(`${folder}/data`);
    const subjects = ["--subjects", "physician, logic", "--subjects", "marxism,computer_network"];
    const asks = ["--data", `${folder}/data`, ...subjects];
    for (const letter of ["A", "B"]) {
      const out = `${folder}/${letter}`;
      const text = await printed("ceval", "--model", `always:${letter}`, ...asks, "--out", out);
      assert(text.includes(`C-Eval val, official, 5 shots: always:${letter}\n`));
      assert(text.includes(`written to ${out}\nNext: `) && text.endsWith(" task report runs"));
    }
    const table = (await printed("compare", `${folder}/A`, `${folder}/B`)).split("\n");
    assertMatch(table.at(-1)!, /^Next: .* task report runs$/);
    assertEquals(
      table[2].replace(/ +/g, " "),
      "always:A, official, 5 shots 27.56 ± 10.73 (22 of val)",
    );
    assertEquals(
      table[3].replace(/ +/g, " "),
      "always:B, official, 5 shots 23.15 ± 10.23 (22 of val)",
    );
    assertEquals(table[4].replace(/ +/g, " "), "Tiny-Llama-1.1B (paper) 25.02 24.03");
    assertEquals(table[16].replace(/ +/g, " "), "Steel-LLM-1B-Chat (paper) 41.90 36.08 30.82");

    const other = `${folder}/some`;
    await printed("ceval", "--model=always:A", ...asks, "--limit=6", "--out", other);
    const ofCmmlu = { ...await readResults(other), benchmark: "cmmlu", split: "test" };
    await Deno.writeTextFile(`${folder}/cmmlu.json`, JSON.stringify(ofCmmlu));
    const compared = await printed("compare", `${folder}/A`, other, `${folder}/cmmlu.json`);
    assertEquals(compared.split("\n").slice(2, 5).map((row) => row.replace(/ +/g, " ")), [
      "always:A, official, 5 shots 27.56 ± 10.73 (22 of val) 37.50 (6 of test)",
      "always:A, official, 5 shots 37.50 (6 of val)",
      "Tiny-Llama-1.1B (paper) 25.02 24.03",
    ]);

    // A model of the paper, in a folder with the hub's name, stands above the paper's figures.
    const named = ["models/Qwen1.5-1.8B-Chat", "models/Llama-2-7b-chat-hf", "models/phi-2-old"];
    const files = named.map((model, i) => ({ model, file: `${folder}/named-${i}.json` }));
    for (const { model, file } of files) {
      await Deno.writeTextFile(file, JSON.stringify({ ...await readResults(other), model }));
    }
    const rows = (await printed("compare", ...files.map(({ file }) => file))).split("\n");
    const below = (model: string) => rows[rows.findIndex((row) => row.startsWith(model)) + 1];
    assert(below(named[0]).startsWith("Qwen1.5-1.8B-Chat (paper)"));
    assert(below(named[1]).startsWith("Llama2-7B (paper)"));
    assert(below(named[2]).startsWith("Tiny-Llama-1.1B (paper)"));
  }));

Deno.test("a model is the same however its folder is written", () =>
  inTemporaryFolder(async (dir) => {
    await writeMadeUpCeval(`${dir}/data`);
    await writePruned(`${dir}/model`, false);
    const asks = [
      "--data",
      `${dir}/data`,
      "--subjects",
      "logic",
      "--limit=1",
      "--out",
      `${dir}/out`,
    ];
    for (const model of [`${dir}/model`, `${dir}/./model/`]) {
      const text = await printed("ceval", "--model", model, ...asks);
      assert(text.includes(`C-Eval val, official, 5 shots: ${dir}/model\n`));
    }
  }));

Deno.test("a text's perplexity is printed, with what a Soft MoE makes of it", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(dir, false);
    await Deno.writeTextFile(`${dir}/poem.txt`, TEXT);
    const asks = ["ppl", `${dir}/poem.txt`, "--model", dir];
    const [figures, caution, next] = (await printed(...asks, "--window=8")).split("\n");
    assertMatch(next, /^Next: .* task generate --model /);
    assertMatch(figures, /poem\.txt: \d+\.\d{4} bits per byte, perplexity .* windows of 8\)$/);
    assertMatch(caution, /later tokens leak/);
    await assertRejects(
      () => evalCommand([...asks, "--window=65"]),
      UserError,
      "--window=65: expected a whole number of at least 1 and at most 64",
    );
  }));

Deno.test("mistakes on the command line are named", async () => {
  const fails = (message: string, ...argv: string[]) =>
    assertRejects(() => evalCommand(argv), UserError, message);
  await fails("Say what to evaluate");
  await fails("no benchmark cval; expected ceval, cmmlu, mmlu, exam", "cval");
  await fails("--model: give the folder of a checkpoint or run, or always:A", "ceval");
  await fails("--model=always:E: expected always:A, B, C or D", "ceval", "--model", "always:E");
  await fails(
    "--shots=five: expected a whole number of at least 0",
    "ceval",
    "--model",
    "always:A",
    "--shots",
    "five",
  );
  await fails(
    "--split=train: expected dev, val or test",
    "ceval",
    "--model",
    "always:A",
    "--split",
    "train",
  );
  await fails("computes nothing; leave --gpu", "ceval", "--model=always:A", "--gpu=dawn");
  await fails("Unknown option '--limt'; --help lists the options", "ceval", "--limt", "3");
  await fails("compare: give folders of results", "compare");
  for (
    const [what, option] of [
      ["ppl", "--limit=0"],
      ["ppl", "--protocol=nope"],
      ["compare", "--model=always:A"],
      ["demo", "--data=mine"],
      ["ceval", "--window=64"],
    ]
  ) await fails(`${what} takes no ${option.split("=")[0]}; see --help`, what, "any", option);
  await fails("leave --data out", "ceval", "--data", "mine", "--download");
  await fails(
    "nowhere: there is no such folder or archive",
    "ceval",
    "--model=missing",
    "--data=nowhere",
  );
  assertStringIncludes(await printed("--help"), "deno task eval BENCHMARK --model DIR");
});
