/** What `--gpus` makes of evaluations: the same tables, and one word for each mistake. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { alwaysLetter, type Answerer } from "../../eval/answerer.ts";
import { askTogether } from "../../eval/ask-together.ts";
import type { Question } from "../../eval/benchmarks/benchmark.ts";
import { evalCommand } from "../../eval/eval-command.ts";
import { readExam } from "../../eval/exam.ts";
import { perplexity } from "../../eval/perplexity.ts";
import { aloneOn, type Communicator } from "../../kernels/ranks/communicator.ts";
import { MPIRUN_SETTINGS } from "../../kernels/ranks/launch.ts";
import { Stopped } from "../../kernels/host/stop-signals.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { ensureMpi } from "../kernels/ranks/mpirun.ts";
import { TEXT, writePruned } from "../model/pruned-model.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { SUBJECTS, writeMadeUpCeval } from "./made-up-ceval.ts";

const EVAL = new URL("../../eval/eval-command.ts", import.meta.url).pathname;

await installMissingDriver();
await ensureMpi();

/** The command line of a process that evaluates. */
function evaluating(...args: string[]): string[] {
  return [Deno.execPath(), "run", "--quiet", "--allow-all", EVAL, ...args];
}

async function run([command, ...args]: string[]) {
  // More ranks than the machine may have GPUs: to them, all are hidden already.
  const env = { ...MPIRUN_SETTINGS, STEEL_GPUS_HIDDEN: "1", NO_COLOR: "1" };
  const output = await new Deno.Command(command, { args, env, stdin: "null" }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((b) => new TextDecoder().decode(b));
  return { code: output.code, stdout, stderr };
}

/** What a command line prints in this process. */
async function printedBy(...argv: string[]): Promise<string> {
  const lines: string[] = [];
  const log = console.log;
  console.log = (line: string) => void lines.push(`${line}\n`);
  try {
    await evalCommand(argv);
  } finally {
    console.log = log;
  }
  return lines.join("");
}

Deno.test("several ranks give the tables of one, letter for letter", () =>
  inTemporaryFolder(async (dir) => {
    await writeMadeUpCeval(`${dir}/data`);
    await writePruned(`${dir}/model`, false);
    const asks = (out: string, protocol: string) => [
      ...["ceval", `--model=${dir}/model`, "--batch=2", "--gpu=deno", "--precision=f32"],
      ...[`--data=${dir}/data`, `--subjects=${Object.keys(SUBJECTS)}`, "--limit=9"],
      ...[`--out=${dir}/${out}`, `--protocol=${protocol}`],
    ];
    // Letters are scored in one protocol, and answers written in the other.
    const outputs = await Promise.all([
      run(evaluating(...asks("several-official", "official"), "--gpus=2")),
      run(["mpirun", "-np", "2", ...evaluating(...asks("several-steel-base", "steel-base"))]),
    ]);
    for (const [i, protocol] of ["official", "steel-base"].entries()) {
      const { code, stdout, stderr } = outputs[i];
      assertEquals(code, 0, stderr);
      assertMatch(stderr, /Answered [\d.]+ questions a second, .* on 2 GPUs\./);
      const one = await printedBy(...asks(`one-${protocol}`, protocol));
      assertMatch(one, new RegExp(`C-Eval val, ${protocol}`));
      assertEquals(stdout, one.replace(`${dir}/one-`, `${dir}/several-`));
      for (const subject of Object.keys(SUBJECTS)) {
        const [alone, shared] = await Promise.all(
          ["one", "several"].map((ranks) =>
            Deno.readTextFile(`${dir}/${ranks}-${protocol}/subjects/${subject}.csv`)
          ),
        );
        assertEquals(alone, shared);
      }
    }
  }));

Deno.test("several ranks measure the perplexity of one, to the bit", async () => {
  const logProb = (label: number) => -1 / (3 + label % 97);
  const model = {
    tokenizer: {
      encode: (text: string) => [...text].map((c) => c.charCodeAt(0)),
      documentStart: 0,
    },
    logProbs: (_: number[][], labels: number[][]) =>
      Promise.resolve(labels.map((row) => row.map(logProb))),
  };
  const texts = [TEXT, TEXT.slice(3), "", "steel"];
  const one = await perplexity(model, texts, 3, 2);
  const both = await Promise.all(pair().map((ranks) => perplexity(model, texts, 3, 2, ranks)));
  assertEquals(both, [one, one]);
});

Deno.test("ranks that would not do the same are refused by name, in one message", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(dir, false);
    await Deno.writeTextFile(`${dir}/poem.txt`, TEXT);
    const text = evaluating("ppl", `${dir}/poem.txt`, `--model=${dir}`);
    const [others, count] = await Promise.all([
      run(["mpirun", "-np", "1", ...text, ":", "-np", "1", ...text, "--window=8"]),
      run(["mpirun", "-np", "2", ...text, "--gpus=3"]),
    ]);
    assertEquals([others.code, count.code], [1, 1]);
    const told = others.stderr.split("\n").filter((line) => line.startsWith("error: "));
    assertEquals(told.length, 1, others.stderr);
    assertMatch(
      told[0],
      /^error: Rank \d on host \S+: rank 1 on host \S+ would not do the same as rank 0 on host \S+: window is 8, and 64 there\. /,
    );
    assertMatch(
      count.stderr,
      /^error: Rank \d on host \S+: --gpus=3, but 2 ranks were started: leave --gpus out\n$/,
    );
  }));

Deno.test("values of --gpus that make no sense are refused", async () => {
  const refused = (message: string, ...argv: string[]) =>
    assertRejects(() => evalCommand(argv), UserError, message);
  await refused("compare takes no --gpus", "compare", "--gpus=2", "results");
  const always = ["ceval", "--model=always:A"];
  await refused("computes nothing; leave --gpu, --gpus", ...always, "--gpus=2");
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/poem.txt`, TEXT);
    const text = ["ppl", `${dir}/poem.txt`, `--model=${dir}`];
    await refused("--gpus=two: expected a number of GPUs, or all", ...text, "--gpus=two");
    await refused("--gpus=0: expected a whole number of at least 1", ...text, "--gpus=0");
  });
});

Deno.test("ranks stop together, whichever of them is told to", async () => {
  const stops = [new AbortController(), new AbortController()];
  const exam = await inTemporaryFolder(async (dir) => {
    await writeMadeUpCeval(dir);
    const subjects = Object.keys(SUBJECTS);
    return await readExam({ benchmark: "ceval", protocol: "official", data: dir, subjects });
  });
  const { benchmark, format, questions, examples: shots } = exam;
  const evaluation = { benchmark, format, questions, shots, batch: 1, seed: 0 };
  const slow: Answerer = {
    ...alwaysLetter("A"),
    letterScores: (prompts) =>
      new Promise((resolve) => setTimeout(() => resolve(prompts.map(() => [1, 0, 0, 0])), 60)),
  };
  const seen: Question["id"][][] = [[], []];
  const results = await Promise.allSettled(
    pair().map((ranks, rank) =>
      askTogether(evaluation, slow, { ranks, signal: stops[rank].signal }, (answers) => {
        seen[rank].push(...answers.map(({ subject, id }) => `${subject}/${id}`));
        if (rank === 1) stops[1].abort(new Stopped("SIGTERM", 143));
        stops[rank].signal.throwIfAborted(); // as a display does
      })
    ),
  );
  for (const result of results) {
    const { reason } = result as PromiseRejectedResult;
    assertInstanceOf(reason, Stopped);
    assertEquals([reason.cause, reason.status], ["SIGTERM", 143]);
  }
  assertEquals(seen[0], seen[1]);
  assert(seen[0].length > 0 && seen[0].length < questions.length);
});

/** Two ranks of one process that gather texts and numbers. */
function pair(): Communicator[] {
  const told: PromiseWithResolvers<string>[][] = [[], []];
  const nth = (rank: number, round: number) => told[rank][round] ??= Promise.withResolvers();
  return [0, 1].map((rank) => {
    let round = 0;
    const allGatherText = (text: string) => {
      const now = round++;
      nth(rank, now).resolve(text);
      return Promise.all([0, 1].map((other) => nth(other, now).promise));
    };
    return {
      ...aloneOn("here"),
      ...{ rank, size: 2, hostRanks: [0, 1] },
      allGatherText,
      allGather: async (numbers) =>
        (await allGatherText(JSON.stringify(numbers))).map((text) => JSON.parse(text)),
    };
  });
}
