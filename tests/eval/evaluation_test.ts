import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { alwaysLetter, type Answerer } from "../../eval/answerer.ts";
import { Lock } from "../../data/files/lock.ts";
import { type EvaluationSettings, runEvaluation } from "../../eval/run-evaluation.ts";
import { categoryTable, subjectTable } from "../../eval/result-tables.ts";
import { readResults, type Results } from "../../model/host/evaluation-results.ts";
import { textTable } from "../../data/page/table.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { SUBJECTS, writeMadeUpCeval } from "./made-up-ceval.ts";

const HANDLES = Object.keys(SUBJECTS);
const ALL = 7 + 6 + 5 + 4;

/** Whose answers depend on the prompt alone, and which can be made to fail after some batches. */
function fakeModel(options: { failAfter?: number } = {}) {
  let batches = 0;
  const asked: number[] = [];
  const count = (prompts: number[][]) => {
    if (batches++ === options.failAfter) throw new Error("killed");
    asked.push(prompts.length);
  };
  const hash = (ids: number[], salt: number) =>
    ids.reduce((sum, id, i) => (sum * 31 + id * (i + salt)) % 9973, salt) / 997;
  const encode = (text: string) =>
    text.match(/ ?[^ ]| /gu)!.map((token) =>
      token.codePointAt(token.length - 1)! + 2 ** 21 * token.length
    );
  const answerer: Answerer = {
    name: "fake",
    encoder: {
      encode,
      encodePrompt: encode,
      encodeChat: (messages) => encode(messages.map(({ content }) => content).join("\n")),
      encodeTurns: ({ turns }) =>
        turns.map(({ question, answer }) => ({ prompt: encode(question), answer: encode(answer) })),
      takesSystem: true,
    },
    contextLength: 4096,
    tokensAtOnce: 4096,
    textsAtOnce: 4,
    sharesPrefixes: false,
    letterScores: (prompts, letterIds) => {
      count(prompts);
      return Promise.resolve(prompts.map((ids) => letterIds.map((id) => hash(ids, id))));
    },
    generate: (prompts, _decoding, seeds) => {
      count(prompts);
      return Promise.resolve(
        prompts.map((ids, i) => hash(ids, 1) < 5 ? "不知道" : `答案是${"ABCD"[seeds[i] % 4]}。\n`),
      );
    },
  };
  return { answerer, asked };
}

const inFolders = (use: (data: string, out: string) => Promise<void>) =>
  inTemporaryFolder(async (folder) => {
    await writeMadeUpCeval(`${folder}/data`);
    await use(`${folder}/data`, `${folder}/out`);
  });

function settings(data: string, out: string, more: Partial<EvaluationSettings> = {}) {
  return {
    ...{ benchmark: "ceval", protocol: "official", subjects: HANDLES, data, out },
    ...{ chainOfThought: false, batch: 4, seed: 0, keepGoing: false, ...more },
  };
}

/** Everything an evaluation wrote, but for the order of its answers, its speed and when it began. */
async function written(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of ["results.json", ...HANDLES.map((subject) => `subjects/${subject}.csv`)]) {
    files[name] = await Deno.readTextFile(`${folder}/${name}`);
  }
  const { speed: _speed, began: _began, ...results } = JSON.parse(files["results.json"]);
  return { ...files, "results.json": JSON.stringify(results) };
}

Deno.test("the batch changes no answer, whether letters are scored or text is generated", async () => {
  await inFolders(async (data, out) => {
    for (const protocol of ["official", "harness", "steel-base", "steel-chat"]) {
      for (const batch of [1, 8, 32]) {
        const { answerer } = fakeModel();
        await runEvaluation(
          settings(data, `${out}/${protocol}-${batch}`, { protocol, batch }),
          answerer,
        );
        assertEquals(
          await written(`${out}/${protocol}-${batch}`),
          await written(`${out}/${protocol}-1`),
        );
      }
    }
  });
});

Deno.test("another seed draws otherwise, the same seed the same", async () => {
  await inFolders(async (data, out) => {
    const predictions = async (seed: number, folder: string) => {
      const asks = settings(data, folder, { protocol: "steel-chat", seed });
      await runEvaluation(asks, fakeModel().answerer);
      return (await written(folder))["subjects/marxism.csv"];
    };
    const first = await predictions(0, `${out}/0`);
    assertEquals(await predictions(0, `${out}/again`), first);
    assertNotEquals(await predictions(1, `${out}/1`), first);
  });
});

Deno.test("as many questions go together as suit the model, of one subject if they share shots", async () => {
  await inFolders(async (data, out) => {
    const batches = async (more: Partial<Answerer>) => {
      const { answerer, asked } = fakeModel();
      const asks = settings(data, `${out}/${Object.entries(more)}`, { batch: undefined });
      await runEvaluation(asks, { ...answerer, ...more });
      return asked;
    };
    // A prompt is 233 to 271 tokens, all but 29 to 38 of them its shots.
    assertEquals(await batches({ tokensAtOnce: 1100 }), [4, 4, 4, 4, 4, 2]);
    assertEquals(await batches({ tokensAtOnce: 1100, sharesPrefixes: true }), [7, 6, 5, 4]);
    assertEquals(await batches({ tokensAtOnce: 400, sharesPrefixes: true }), [6, 1, 4, 2, 4, 1, 4]);
  });
});

Deno.test("what kept an answer from being one like the others is counted and said", async () => {
  await inFolders(async (data, out) => {
    const asked = async (protocol: string, contextLength: number) => {
      const asks = settings(data, `${out}/${protocol}-${contextLength}`, { protocol });
      const results = await runEvaluation(asks, { ...fakeModel().answerer, contextLength });
      const { fewerShots, cut, withoutLetter } = results;
      return { fewerShots, cut, withoutLetter, said: categoryTable(results).notes.slice(1) };
    };
    assertEquals(await asked("official", 60), {
      ...{ fewerShots: ALL, cut: ALL, withoutLetter: 0 },
      said: [
        "22 questions had no room for all shots",
        "22 questions longer than the model takes: their beginning was cut",
      ],
    });
    // It takes a whole sentence for no letter.
    assertEquals(await asked("steel-base", 4096), {
      ...{ fewerShots: 0, cut: 0, withoutLetter: ALL },
      said: ["22 questions answered without a letter: wrong"],
    });
  });
});

Deno.test("an evaluation that was killed goes on and ends the same", async () => {
  await inFolders(async (data, out) => {
    const whole = `${out}/whole`;
    await runEvaluation(settings(data, whole), fakeModel().answerer);

    const interrupted = `${out}/interrupted`;
    const run = (model: ReturnType<typeof fakeModel>) =>
      runEvaluation(settings(data, interrupted), model.answerer);
    await assertRejects(() => run(fakeModel({ failAfter: 3 })), Error, "killed");
    // A line that the kill cut off
    const log = `${interrupted}/answers.jsonl`;
    await Deno.writeTextFile(log, '{"subject":"logic","id":"3","ans', { append: true });

    const second = fakeModel();
    await run(second);
    assertEquals(second.asked.reduce((sum, size) => sum + size, 0), ALL - 3 * 4);
    assertEquals(await written(interrupted), await written(whole));

    const third = fakeModel();
    const { speed, began } = await readResults(interrupted);
    const results = await run(third);
    assertEquals([results.speed, results.began], [speed, began]);
    assertEquals(third.asked, []);
    assertEquals(await written(interrupted), await written(whole));
  });
});

Deno.test("a broken line of the log is told, and its question is asked again", async () => {
  await inFolders(async (data, out) => {
    const whole = `${out}/whole`;
    await runEvaluation(settings(data, whole), fakeModel().answerer);
    const damaged = `${out}/damaged`;
    await runEvaluation(settings(data, damaged), fakeModel().answerer);
    const log = `${damaged}/answers.jsonl`;
    const lines = (await Deno.readTextFile(log)).split("\n");
    lines[3] = lines[3].slice(0, 20);
    await Deno.writeTextFile(log, lines.join("\n"));

    const model = fakeModel();
    const said: string[] = [];
    await runEvaluation(settings(data, damaged), model.answerer, undefined, (text) => {
      said.push(text);
    });
    assertEquals(said, [`${log}:4: not an answer; the line is left out`]);
    assertEquals(model.asked, [1]);
    assertEquals(await written(damaged), await written(whole));
  });
});

Deno.test("results that another process writes are left to it", async () => {
  await inFolders(async (data, out) => {
    {
      await using _ = await Lock.ofFolder(out);
      await assertRejects(
        () => runEvaluation(settings(data, out), fakeModel().answerer),
        UserError,
        `${out}: another process writes here`,
      );
    }
    await runEvaluation(settings(data, out), fakeModel().answerer);
  });
});

Deno.test("answers of other settings are not gone on with", async () => {
  await inFolders(async (data, out) => {
    await runEvaluation(settings(data, out), fakeModel().answerer);
    await assertRejects(
      () => runEvaluation(settings(data, out, { shots: 2 }), fakeModel().answerer),
      UserError,
      "answers.jsonl was started with shots 5, and this run has 2: give the settings it was started " +
        "with to go on, or another --out to start over",
    );
  });
});

Deno.test("answers of a model's earlier weights are not gone on with", async () => {
  await inFolders(async (data, out) => {
    const withWeights = (weights: string): Answerer => ({
      ...fakeModel().answerer,
      fingerprint: () => Promise.resolve(weights),
    });
    await runEvaluation(settings(data, out, { limit: 4 }), withWeights("a"));
    await runEvaluation(settings(data, out, { limit: 8 }), withWeights("a"));
    await assertRejects(
      () => runEvaluation(settings(data, out), withWeights("b")),
      UserError,
      'answers.jsonl was started with weights "a", and this run has "b"',
    );
    await assertRejects(
      () => runEvaluation(settings(data, out), { ...withWeights("a"), precision: "mixed" }),
      UserError,
      'answers.jsonl was started with precision not set, and this run has "mixed"',
    );
  });
});

Deno.test("answers to other questions, or after other examples, are not scored", async () => {
  const changes: [string, RegExp, string][] = [
    ["val/logic_val.csv", /20 \+ 1/, "29 + 1"],
    ["dev/logic_dev.csv", /20 \+ 1/, "29 + 1"],
    ["dev/logic_dev.csv", /(^3,.*),[ABCD],/m, "$1,C,"],
  ];
  for (const [file, from, to] of changes) {
    await inFolders(async (data, out) => {
      await runEvaluation(settings(data, out, { limit: 6 }), fakeModel().answerer);
      const text = await Deno.readTextFile(`${data}/${file}`);
      assertNotEquals(text.replace(from, to), text);
      await Deno.writeTextFile(`${data}/${file}`, text.replace(from, to));
      await assertRejects(
        () => runEvaluation(settings(data, out), fakeModel().answerer),
        UserError,
        "answers.jsonl holds answers to other questions, or with other examples before them: " +
          "those of logic have changed since; give the data it was started with to go on",
      );
      // What was answered of the others still counts, and a log of none of them is as it was.
      const others = HANDLES.filter((handle) => handle !== "logic");
      const model = fakeModel();
      await runEvaluation(settings(data, out, { subjects: others }), model.answerer);
      assertEquals(model.asked.reduce((sum, size) => sum + size, 0), ALL - 5 - 5);
    });
  }
});

Deno.test("where the data lie, and a right answer that is corrected, asks nothing anew", async () => {
  await inFolders(async (data, out) => {
    const before = await runEvaluation(settings(data, out), alwaysLetter("A"));
    const moved = `${out}/moved/data`;
    await Deno.mkdir(`${out}/moved`);
    await Deno.rename(data, moved);
    const file = `${moved}/val/physician_val.csv`;
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.replace(/(^0,.*),C\r/m, "$1,A\r"));
    const after = await runEvaluation(settings(moved, out), {
      ...alwaysLetter("A"),
      letterScores: () => Promise.reject(new Error("asked anew")),
    });
    const right = ({ scores }: Results) => scores!.subjects.map(({ correct }) => correct);
    assertEquals(right(before), [2, 1, 2, 1]);
    assertEquals(right(after), [2, 1, 2, 2]);
  });
});

Deno.test("tables hold both averages, categories and standard errors", async () => {
  await inFolders(async (data, out) => {
    const results = await runEvaluation(settings(data, out), alwaysLetter("A"));
    assertEquals(
      textTable(categoryTable(results)),
      `C-Eval val, official, 5 shots: always:A
                subjects  questions        macro *          micro
all                    4         22  27.56 ± 10.73   27.27 ± 9.72
STEM                   1          7  28.57 ± 18.44  28.57 ± 18.44
Social Science         1          6  16.67 ± 16.67  16.67 ± 16.67
Humanities             1          5  40.00 ± 24.49  40.00 ± 24.49
Other                  1          4  25.00 ± 25.00  25.00 ± 25.00
% right ± standard error; macro: mean of the subjects, micro: all questions alike; ` +
        "* is what C-Eval's authors report",
    );
    assertEquals(
      textTable(subjectTable(results)),
      `C-Eval by subject
                  questions        % right
computer_network          7  28.57 ± 18.44
marxism                   6  16.67 ± 16.67
logic                     5  40.00 ± 24.49
physician                 4  25.00 ± 25.00`,
    );
    assertEquals(await readResults(out), JSON.parse(JSON.stringify(results)));
  });
});

Deno.test("every question is in its subject's CSV", async () => {
  await inFolders(async (data, out) => {
    await runEvaluation(settings(data, out, { shots: 1 }), alwaysLetter("A"));
    const csv = await Deno.readTextFile(`${out}/subjects/physician.csv`);
    assertEquals(
      csv,
      "id,question,A,B,C,D,answer,prediction,right,P(A),P(B),P(C),P(D),shots,written\n" +
        "0,30 + 1 = ____。,30,31,32,33,C,A,0,1,0,0,0,1,\n" +
        "1,31 + 1 = ____。，,31,32,33,34,B,A,0,1,0,0,0,1,\n" +
        "2,32 + 1 = ____。，，,32,33,34,35,A,A,1,1,0,0,0,1,\n" +
        "3,33 + 1 = ____。，，，,33,34,35,36,D,A,0,1,0,0,0,1,\n",
    );
  });
});

Deno.test("C-Eval's test split has no scores but a submission", async () => {
  await inFolders(async (data, out) => {
    const some = { split: "test", subjects: ["logic", "physician"] } as const;
    const results = await runEvaluation(
      settings(data, out, { ...some, subjects: [...some.subjects] }),
      alwaysLetter("D"),
    );
    assertEquals(results.scores, undefined);
    assertEquals(JSON.parse(await Deno.readTextFile(`${out}/submission.json`)), {
      logic: { 0: "D", 1: "D", 2: "D", 3: "D", 4: "D" },
      physician: { 0: "D", 1: "D", 2: "D", 3: "D" },
    });
  });
});

Deno.test("a limit takes questions from all subjects in turn, and can be raised later", async () => {
  await inFolders(async (data, out) => {
    const first = await runEvaluation(settings(data, out, { limit: 6 }), fakeModel().answerer);
    assertEquals(first.scores!.subjects.map(({ questions }) => questions), [2, 2, 1, 1]);
    const model = fakeModel();
    const all = await runEvaluation(settings(data, out), model.answerer);
    assertEquals(all.questions, ALL);
    assertEquals(model.asked.reduce((sum, size) => sum + size, 0), ALL - 6);
    // Lowered again, it leaves no more in the folder than it counts.
    await runEvaluation(settings(data, out, { limit: 3 }), fakeModel().answerer);
    const files = await Array.fromAsync(Deno.readDir(`${out}/subjects`), ({ name }) => name);
    assertEquals(files.sort(), ["computer_network.csv", "logic.csv", "marxism.csv"]);
  });
});

Deno.test("a limit below the number of subjects takes from every category", async () => {
  await inFolders(async (data, out) => {
    // Three more of the first category stand before all others.
    const stem = ["operating_system", "computer_architecture", "college_programming"];
    for (const split of ["dev", "val"]) {
      const file = (subject: string) => `${data}/${split}/${subject}_${split}.csv`;
      for (const subject of stem) await Deno.copyFile(file("computer_network"), file(subject));
    }
    const subjects = [...HANDLES, ...stem];
    await runEvaluation(settings(data, out, { subjects, limit: 3 }), fakeModel().answerer);
    const files = await Array.fromAsync(Deno.readDir(`${out}/subjects`), ({ name }) => name);
    assertEquals(files.sort(), ["computer_network.csv", "logic.csv", "marxism.csv"]);
  });
});

Deno.test("bad input stops the run, or is left out when asked", async () => {
  await inFolders(async (data, out) => {
    await Deno.remove(`${data}/val/logic_val.csv`);
    const run = (more: Partial<EvaluationSettings>) =>
      runEvaluation(settings(data, out, more), alwaysLetter("A"));
    for (const subjects of [HANDLES, ["logic"]]) {
      await assertRejects(() => run({ subjects }), UserError, "subject logic is missing");
    }
    await assertRejects(
      () => run({ subjects: ["logik"] }),
      UserError,
      'C-Eval has no subject "logik"; did you mean "logic"? It has computer_network, operating',
    );
    await assertRejects(() => run({ benchmark: "gsm8k" }), UserError, "no benchmark gsm8k");
    await assertRejects(() => run({ protocol: "mine" }), UserError, "there is no protocol mine");
    await assertRejects(
      () => run({ protocol: "steel-chat", shots: 5 }),
      UserError,
      "--shots=5: steel-chat takes at most 0 here (Steel-LLM's eval_chat.py)",
    );
    await assertRejects(() => run({ split: "dev" }), UserError, "give --shots=0");
    const examples = `${data}/dev/physician_dev.csv`;
    const rows = (await Deno.readTextFile(examples)).split("\r\n");
    await Deno.writeTextFile(examples, rows.slice(0, 4).join("\r\n"));
    await assertRejects(
      () => run({ subjects: ["physician"] }),
      UserError,
      "dev/physician_dev.csv has 3 of the 5 examples asked for; give --shots=3",
    );
    await Deno.writeTextFile(examples, rows.join("\r\n"));
    for (const out of [`${data}/dev/logic_dev.csv`, `${data}/dev/logic_dev.csv/out`]) {
      await assertRejects(
        () => run({ keepGoing: true, out }),
        UserError,
        `${out}: this folder cannot be made: `,
      );
    }
    const results = await run({ keepGoing: true });
    assertEquals(results.scores!.subjects.length, 3);
    assertEquals(results.problems.length, 1);
    await Deno.writeTextFile(`${data}/val/logic_val.csv`, "id,question,A,B,C,D,answer\n");
    await assertRejects(
      () => run({ subjects: ["logic"] }),
      UserError,
      "there is no question in val to ask",
    );
    const broken: Answerer = {
      ...alwaysLetter("A"),
      letterScores: (prompts) => Promise.resolve(prompts.map(() => [NaN, NaN, NaN, NaN])),
    };
    await assertRejects(
      () => runEvaluation(settings(data, `${out}-broken`, { subjects: ["physician"] }), broken),
      UserError,
      "scores of A, B, C and D for physician 0 are NaN, NaN, NaN, NaN",
    );
  });
});
