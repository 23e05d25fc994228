import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { strToU8, zipSync } from "fflate";
import { createTar } from "nanotar";
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { openBenchmarkFiles } from "../../eval/benchmarks/benchmark-files.ts";
import type { Split } from "../../model/host/evaluation-results.ts";
import type { Benchmark } from "../../eval/benchmarks/benchmark.ts";
import { ceval, cevalWithSubjects } from "../../eval/benchmarks/ceval.ts";
import { cmmlu } from "../../eval/benchmarks/cmmlu.ts";
import { mmlu } from "../../eval/benchmarks/mmlu.ts";
import { readQuestions } from "../../eval/benchmarks/read-questions.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

/** A folder of the given files, removed after `use`. */
const withFolder = <T>(
  contents: Record<string, string | Uint8Array>,
  use: (folder: string) => Promise<T>,
) =>
  inTemporaryFolder(async (folder) => {
    for (const [path, content] of Object.entries(contents)) {
      const file = `${folder}/${path}`;
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeFile(file, typeof content === "string" ? strToU8(content) : content);
    }
    return await use(folder);
  });

async function read(
  benchmark: Benchmark,
  contents: Record<string, string>,
  split: Split,
  subjects: string[],
  problems?: string[],
) {
  return await withFolder(contents, async (folder) => {
    const files = await openBenchmarkFiles(folder);
    const onProblem = problems && ((problem: UserError) => void problems.push(problem.message));
    return await readQuestions(benchmark, files, split, subjects, onProblem);
  });
}

Deno.test("C-Eval keeps line breaks inside quotes and the ids of its rows", async () => {
  const questions = await read(
    ceval,
    {
      "ceval-exam/dev/logic_dev.csv": "\ufeffid,question,A,B,C,D,answer,explanation\r\n" +
        '4,"第一行\r\n第二行____。", 甲,乙,丙,丁,C,"1. 因为\n2. 所以"\r\n',
    },
    "dev",
    ["logic"],
  );
  assertEquals(questions.get("logic"), [{
    subject: "logic",
    id: "4",
    text: "第一行\r\n第二行____。",
    options: { A: " 甲", B: "乙", C: "丙", D: "丁" },
    answer: "C",
    explanation: "1. 因为\n2. 所以",
  }]);
});

Deno.test("rows may end as on any system; a column that would not be asked is not passed over", async () => {
  const table = [
    "id,question,A,B,C,D,answer",
    '0,"问\n题",甲,乙,丙,丁,B',
    "1,问,甲,乙,丙,丁,C",
    "",
  ];
  const ends = ["\n", "\r\n", "\r"];
  const contents = Object.fromEntries(
    ends.map((end, i) => [`val/${["law", "logic", "art_studies"][i]}_val.csv`, table.join(end)]),
  );
  const questions = await read(ceval, contents, "val", ["law", "logic", "art_studies"]);
  for (const subject of ["law", "logic", "art_studies"]) {
    assertEquals(questions.get(subject)!.map(({ id, text }) => [id, text]), [
      ["0", "问\n题"],
      ["1", "问"],
    ]);
  }
  const five = { "val/law_val.csv": "id,question,A,B,C,D,E,answer\n0,问,甲,乙,丙,丁,戊,B\n" };
  await assertRejects(
    () => read(ceval, five, "val", ["law"]),
    UserError,
    'val/law_val.csv: line 1: the column "E" is not read',
  );
  const problems: string[] = [];
  assertEquals((await read(ceval, five, "val", ["law"], problems)).get("law")!.length, 1);
  assertEquals(problems.length, 1);
});

Deno.test("C-Eval's test split has no answers; a repack that adds them is read too", async () => {
  const questions = await read(
    ceval,
    {
      "test/law_test.csv": "id,question,A,B,C,D\n0,问,甲,乙,丙,丁\n",
      "test/logic_test.csv": "id,question,A,B,C,D,answer\n0,问,甲,乙,丙,丁,B\n1,问,甲,乙,丙,丁,\n",
    },
    "test",
    ["law", "logic"],
  );
  assertEquals(questions.get("law")!.map((question) => question.answer), [undefined]);
  assertEquals(questions.get("logic")!.map((question) => question.answer), ["B", undefined]);
});

Deno.test("CMMLU's first column has no name; its numbers stay text", async () => {
  const questions = await read(
    cmmlu,
    {
      "data/test/arts.csv": ",Question,A,B,C,D,Answer\n7,问,1.50,2,3,004,D\n",
    },
    "test",
    ["arts"],
  );
  assertEquals(questions.get("arts"), [{
    subject: "arts",
    id: "7",
    text: "问",
    options: { A: "1.50", B: "2", C: "3", D: "004" },
    answer: "D",
  }]);
});

Deno.test('MMLU has no header, stray quotes, and "None" as an answer\'s text', async () => {
  const questions = await read(
    mmlu,
    {
      "data/test/anatomy_test.csv": 'Which one?",None,nan,"a, ""b""",,A\nAnd?,1,2,3,4,B\n',
    },
    "test",
    ["anatomy"],
  );
  const [first, second] = questions.get("anatomy")!;
  assertEquals(first.text, 'Which one?"');
  assertEquals(first.options, { A: "None", B: "nan", C: 'a, "b"', D: "" });
  assertEquals([first.id, second.id, second.answer], ["0", "1", "B"]);
});

Deno.test("an archive reads as the folder inside it does", async () => {
  const table = "id,question,A,B,C,D,answer\n0,问,甲,乙,丙,丁,B\n";
  const archive = zipSync({
    "ceval-exam/val/law_val.csv": strToU8(table),
    "__MACOSX/ceval-exam/val/._law_val.csv": strToU8("resource fork"),
    "backup/ceval-exam/val/law_val.csv": strToU8("an older copy, deeper down"),
  });
  const tape = createTar([
    { name: "ceval-exam/" },
    { name: "ceval-exam/val/law_val.csv", data: table },
  ]);
  const contents = { "ceval.zip": archive, "ceval.tar": tape, "val/law_val.csv": table };
  await withFolder(contents, async (folder) => {
    const [zipped, taped, plain] = await Promise.all(
      [`${folder}/ceval.zip`, `${folder}/ceval.tar`, folder].map(async (where) =>
        await readQuestions(ceval, await openBenchmarkFiles(where), "val", ["law"])
      ),
    );
    assertEquals(zipped, plain);
    assertEquals(taped, plain);
    assertEquals(zipped.get("law")!.length, 1);
  });
});

Deno.test("a damaged or monstrous archive is refused, wherever a checksum or a size can tell", async () => {
  const table = "id,question,A,B,C,D,answer\n" +
    "0,问,甲,乙,丙,丁,B\n".replace("问", "问".repeat(99));
  const path = "val/law_val.csv";
  const stored = zipSync({ [path]: [strToU8(table), { level: 0 }] });
  const tape = createTar([{ name: path, data: table }, { name: "val/logic_val.csv", data: table }]);
  const zeros = zipSync({ [path]: new Uint8Array(100_000_000) });
  const changed = (file: Uint8Array, text: string, into: string) => {
    const copy = Buffer.from(file);
    copy.write(into, copy.indexOf(text));
    return copy;
  };
  const archives: Record<string, [content: Uint8Array, message: string]> = {
    "crc.zip": [changed(stored, ",丁,B", ",丁,C"), "val/law_val.csv cannot be unpacked"],
    "bomb.zip": [zeros, "it unpacks to more than 200 times its size"],
    "name.tar": [changed(tape, "logic", "magic"), "the header at byte 1024 is damaged"],
    "cut.tar": [tape.subarray(0, 1700), "it is cut short"],
    "joined.tar": [Buffer.concat([tape, tape]), "it goes on after its end"],
  };
  const contents = Object.fromEntries(
    Object.entries(archives).map(([name, [content]]) => [name, content]),
  );
  await withFolder(contents, async (folder) => {
    for (const [name, [, message]] of Object.entries(archives)) {
      const asked = async () =>
        await readQuestions(ceval, await openBenchmarkFiles(`${folder}/${name}`), "val", ["law"]);
      const error = await assertRejects(asked, UserError, message, name);
      assertStringIncludes(error.message, `${folder}/${name}: `);
    }
  });
});

Deno.test("bad tables are named by file and row, and the rest is read when asked", async () => {
  const problems: string[] = [];
  const contents = {
    "val/law_val.csv": "id,question,A,B,C,D,answer\n" +
      '0,"问\n题",甲,乙,丙,丁,E\n1,问,甲,乙,丙\n2,问,甲,乙,丙,丁,\n3,问,甲,乙,丙,丁,A\n\n' +
      "3,问,甲,乙,丙,丁,B\n\n",
  };
  const questions = await read(ceval, contents, "val", ["law", "logic"], problems);
  assertEquals(questions.get("law")!.map((question) => question.id), ["3"]);
  assertEquals(problems.map((problem) => problem.replace(/^\S*?(law_val|: subject)/, "$1")), [
    'law_val.csv: row 1 (ends on line 3): the answer is "E", expected one of A, B, C, D',
    "law_val.csv: row 2 (ends on line 4): 5 columns, expected 7: " +
    "id, question, A, B, C, D, answer",
    "law_val.csv: row 3 (ends on line 5): no answer, expected one of A, B, C, D",
    "law_val.csv: row 5 (ends on line 8): another row has id 3 too",
    ": subject logic is missing: expected val/logic_val.csv; download the benchmark again, or " +
    "leave the subject out with --subjects",
  ]);
  await assertRejects(() => read(ceval, contents, "val", ["law"]), UserError, "row 1");
});

Deno.test("a file that cannot be read is a problem of its subject alone", async () => {
  const problems: string[] = [];
  const header = "id,question,A,B,C,D,answer\n";
  const contents = {
    "val/law_val.csv": "",
    "val/logic_val.csv": header + '0,"问,甲,乙,丙,丁,A',
    "val/marxism_val.csv": header.replace("id", "answer") + "A,问,甲,乙,丙,丁,B\n",
    "val/physician_val.csv": header.replace("\n", ",,\n") + "0,问,甲,乙,丙,丁,B,,\n",
  };
  const subjects = ["law", "logic", "marxism", "physician"];
  const questions = await read(ceval, contents, "val", subjects, problems);
  assertEquals([...questions.keys()], ["physician"]);
  assertEquals(questions.get("physician")!.map(({ id }) => id), ["0"]);
  assertEquals(problems.map((problem) => problem.replace(/^.*val\/(\w+)_val.csv: /, "$1: ")), [
    "law: line 1 is not the header of C-Eval: no column question, A, B, C, D (found: nothing)",
    "logic: not a CSV table: Quote Not Closed: the parsing is finished with an opening quote at " +
    "line 2",
    "marxism: line 1 has two columns answer; leave one in",
  ]);
  await assertRejects(() => read(ceval, contents, "val", ["law"]), UserError, "line 1 is not");
});

Deno.test("wrong folders, archives and headers are said to be wrong", async () => {
  const wrongFolder = { "data/test/arts.csv": ",Question,A,B,C,D,Answer\n" };
  await assertRejects(
    () => read(ceval, wrongFolder, "val", ["law"]),
    UserError,
    "not C-Eval's folder or archive: expected val/computer_network_val.csv and its like, found " +
      "data/test/arts.csv",
  );
  await assertRejects(
    () => read(ceval, { "val/law_val.csv": "问,甲,乙,丙,丁,A\n" }, "val", ["law"]),
    UserError,
    "line 1 is not the header of C-Eval: no column question, B, C, D",
  );
  await withFolder({ "broken.zip": "PK\x03\x04 cut short" }, async (folder) => {
    await assertRejects(
      () => openBenchmarkFiles(`${folder}/broken.zip`),
      UserError,
      "not a readable zip or tar archive",
    );
    await assertRejects(() => openBenchmarkFiles(`${folder}/none`), UserError, "no such folder");
  });
});

Deno.test("categories partition the subjects as each source counts them", () => {
  const sizes = (benchmark: Benchmark, map = 0) =>
    Object.values(benchmark.categoryMaps[map].categories).map((subjects) => subjects.length);
  assertEquals(sizes(ceval), [20, 10, 11, 11]);
  assertEquals(sizes(ceval, 1), [8]);
  assertEquals(sizes(cmmlu), [17, 22, 13, 15]);
  assertEquals(sizes(cmmlu, 1), [15]);
  assertEquals(sizes(mmlu), [19, 12, 13, 13]);
  assertEquals(sizes(mmlu, 1), [18, 12, 13, 14]);
  for (const benchmark of [ceval, cmmlu, mmlu]) {
    const handles = benchmark.subjects.map((subject) => subject.handle);
    for (const map of benchmark.categoryMaps.filter((map) => !/hard|overlapping/.test(map.name))) {
      assertEquals(Object.values(map.categories).flat().sort(), handles.toSorted());
    }
  }
});

Deno.test("an exam of one's own brings its subjects along", () => {
  const mapping = '{"facts": ["Facts", "常识", "Other"], "rivers": ["Rivers", "河流", "Earth"]}';
  const exam = cevalWithSubjects("Demo", mapping, "subject_mapping.json");
  assertEquals(exam.subjects, [
    { handle: "facts", name: "常识" },
    { handle: "rivers", name: "河流" },
  ]);
  assertEquals(exam.categoryMaps[0].categories, { Other: ["facts"], Earth: ["rivers"] });
  const odd = cevalWithSubjects("Demo", '{"a": ["A", "甲", "constructor"]}', "my.json");
  assertEquals(odd.subjects, [{ handle: "a", name: "甲" }]);
  const mistakes = {
    "null": "expected a JSON object",
    "[]": "expected a JSON object",
    "{}": "there is no subject in it",
    '{"../x": ["Facts", "常识", "Other"]}': '"../x" cannot name a subject',
    '{"facts": ["Facts"]}': 'facts: expected ["English name", "name in prompts", "category"]',
  };
  for (const [text, message] of Object.entries(mistakes)) {
    assertThrows(
      () => cevalWithSubjects("Demo", text, "my.json"),
      UserError,
      `my.json: ${message}`,
    );
  }
});
