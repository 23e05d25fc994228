/** An experiment from its file to its page, with runs of a second each. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { evalCommand } from "../../eval/eval-command.ts";
import type { Table } from "../../data/page/table.ts";
import { toMarkdown } from "../../data/page/markdown.ts";
import { inEnglish } from "../../data/page/words.ts";
import { readExperiment } from "../../eval/experiments/experiment.ts";
import {
  costTables,
  experimentPage,
  planText,
  resultTables,
} from "../../eval/experiments/experiment-page.ts";
import { readMeasurements } from "../../eval/experiments/measurements.ts";
import { argumentsOf, haveOneText, planArms, runsOf } from "../../eval/experiments/plan.ts";
import { readState, runExperiment, type RunTask } from "../../eval/experiments/run-experiment.ts";
import {
  type PerplexityResults,
  readPerplexity,
  writePerplexity,
} from "../../eval/perplexity-results.ts";
import { reportCommand } from "../../eval/report/report-command.ts";
import { parseConfig } from "../../model/network/config.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { pretrain } from "../../train/pretrain.ts";
import { takeGpus } from "../../model/command-line/run-on-gpus.ts";
import { writeStepSpeed } from "../../model/host/step-speed.ts";
import { loadStepSettings } from "../../train/settings/step-settings.ts";
import { loadDpoSettings } from "../../train/settings/dpo-settings.ts";
import { loadSftSettings } from "../../train/settings/sft-settings.ts";
import { PreferenceObjective } from "../../train/step/preference-objective.ts";
import { loadPretrainSettings } from "../../train/settings/pretrain-settings.ts";
import { openTestGpu } from "../open-gpu.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { tinyRun } from "../train/tiny-run.ts";

const HERE = new URL("../../eval/experiments/", import.meta.url).pathname;

/** A small experiment: two arms from two seeds, on made-up text. */
async function writeExperiment(dir: string): Promise<string> {
  const settings: Record<string, Record<string, unknown>> = {};
  for (const argument of await tinyRun(dir)) {
    const [, section, key, value] = /^--(\w+)\.(\w+)=(.*)$/.exec(argument)!;
    if (section !== "run" && key !== "steps") (settings[section] ??= {})[key] = value;
  }
  const path = `${dir}/tiny.yaml`;
  await Deno.writeTextFile(
    path,
    `
title: Tiny
question: Which is better?
paper: Table 9
measures: [bits-per-byte]
stages: { pretrain: ${JSON.stringify(settings)} }
arms:
  Soft MoE: {}
  dense: { pretrain: { model: { FFN_type: raw, mlp_type: raw, mlp_div_ratio: 1 } } }
published:
  dense: { bits-per-byte: 3.5 }
scales:
  smallest:
    seeds: [1, 2]
    budget: { pretrain: { tokens: 512 } }
    text: ${dir}/text.jsonl
    window: 16
`,
  );
  return path;
}

Deno.test("an experiment runs its arms, goes on where it was stopped, and has a page", () =>
  inTemporaryFolder(async (dir) => {
    const gpu = await openTestGpu();
    const experiment = await readExperiment(await writeExperiment(dir));
    const folder = `${dir}/experiment`;
    const ran: string[] = [];
    /** In this process: a process of its own takes seconds to start. */
    const runTask: RunTask = async (task, args) => {
      if (ran.length === 3) throw new UserError("stopped here");
      ran.push(`${task} ${args.find((word) => /dir=|^--out/.test(word))}`);
      if (task === "pretrain") await pretrain(await loadPretrainSettings(args), { gpu });
      else await measure(args);
    };
    /** Really once; the other models' figures are made of that one's. */
    let first: PerplexityResults | undefined;
    const measure = async (args: string[]) => {
      const out = args[args.indexOf("--out") + 1];
      if (!first) {
        await evalCommand(args);
        first = await readPerplexity(out);
        return;
      }
      const { sources, ...rest } = structuredClone(first);
      for (const { decoding } of Object.values(sources)) decoding!.bitsPerByte += ran.length / 100;
      await writePerplexity(out, { sources, ...rest });
    };
    const log = console.log;
    console.log = () => {};
    try {
      const say = () => {};
      const command = "deno task experiment tiny.yaml";
      await assertRejects(
        () => runExperiment(experiment, folder, command, runTask, say),
        UserError,
      );
      assertEquals(Object.keys((await readState(folder))!.commands).length, 2);
      ran.push("the same command again");
      await runExperiment(experiment, folder, command, runTask, say);
      await reportCommand([folder]);
    } finally {
      console.log = log;
      gpu.close();
    }
    // A run that tells how long the others are, the four of the arms, and what is measured of each.
    assertEquals(ran.filter((line) => line.startsWith("pretrain")).length, 5);
    assertEquals(ran.filter((line) => line.startsWith("eval")).length, 4);
    const { lengths } = (await readState(folder))!;
    assertEquals([lengths.pretrain!.steps, lengths.pretrain!.tokensPerStep], [8, 64]);
    const page = await Deno.readTextFile(`${folder}/report.md`);
    assertStringIncludes(page, "In the paper: Table 9");
    assertStringIncludes(page, "Each run of pretrain has 8 steps, 512 tokens.");
    // The report that the page asks for can be made.
    await reportCommand([/deno task report (\S+)$/m.exec(page)![1]]);
    assert(/\| dense \| \d\.\d{4} ± \d\.\d{4} \| [+-]\d\.\d{4} ± /.test(page), page);
    assert(/\| 3\.5000 \| [+-]\d\.\d{4} \|/.test(page), page);
    assertStringIncludes(page, "Mean over 2 seeds ± its standard error");
    assertStringIncludes(page, "more than 4.3 times its error");
    assertStringIncludes(page, 'pretrain model.FFN_type="raw"');
    assertStringIncludes(page, " --model.hidden_size=16 ");
    assertStringIncludes(await Deno.readTextFile(`${folder}/report.html`), "<svg");
    assertStringIncludes(page, "deno task experiment tiny.yaml\n");
    await assertRejects(
      () => runExperiment({ ...experiment, checkpoints: 2 }, folder, "", runTask, () => {}),
      UserError,
      "holds this experiment with other settings",
    );
  }));

/** Reads a stage's settings as its command would. */
const LOAD = { pretrain: loadPretrainSettings, sft: loadSftSettings, dpo: loadDpoSettings };

/** The experiment that trains nothing, which has scales of its own. */
const TIMED = "fused.yaml";

Deno.test("every arm of every experiment has settings that its commands take", async () => {
  for await (const { name } of Deno.readDir(HERE)) {
    if (!name.endsWith(".yaml") || name === TIMED) continue;
    for (const scale of ["embedded", "small-gpu", "paper"]) {
      const experiment = await readExperiment(HERE + name, scale);
      const runs = runsOf(planArms(experiment, "runs/x"));
      for (const { stage, settings } of runs) {
        if (stage === "bench:step") throw new Error(`${name} times steps`);
        const loaded = await LOAD[stage](argumentsOf(settings));
        if ("loss" in loaded) new PreferenceObjective(loaded.loss);
        if (stage !== "pretrain") continue;
        const model = { model_type: "steel", hidden_act: "silu", vocab_size: 64, ...loaded.model };
        const config = parseConfig(model, `${name}, ${scale}`);
        assert(config.layers.length > 0, name);
      }
    }
  }
});

Deno.test("losses on different examples are not compared", async () => {
  for (const [name, isOneText] of [["ffn", true], ["mixtures", false], ["language-share", false]]) {
    const experiment = await readExperiment(`${HERE}${name}.yaml`);
    assertEquals(haveOneText(planArms(experiment, "runs/x")), isOneText, String(name));
  }
});

Deno.test("arms that read other examples have as many steps, and tokens of their own", () =>
  inTemporaryFolder(async (folder) => {
    const experiment = await readExperiment(`${HERE}language-share.yaml`);
    const length = { steps: 18, tokensPerStep: 508, tokensPerSecond: 1 };
    const lengths = { pretrain: length, sft: length };
    for (const { arm, runs } of planArms(experiment, folder)) {
      const { dir, stage } = runs.at(-1)!;
      assertEquals(stage, "sft");
      await Deno.mkdir(dir, { recursive: true });
      const tokens = arm === "0 % Chinese" ? 9144 : 20000;
      const lines = Array.from({ length: 40 }, (_, i) => ({
        ...{ step: i + 1, loss: i < 30 ? 9 : 2 + i % 2, tokens },
        ...{ tokensPerSecond: 1, gradientNorm: 1, learningRate: 1, seconds: 1 },
      }));
      const text = lines.map((line) => JSON.stringify(line)).join("\n") + "\n";
      await Deno.writeTextFile(`${dir}/metrics.jsonl`, text);
    }
    const arms = await readMeasurements(experiment, folder);
    const state = { experiment, began: "2026-01-01T00:00:00Z", command: "", lengths, commands: {} };
    const page = toMarkdown(experimentPage(state, folder, arms), "charts").text;
    assertStringIncludes(page, "Each run of pretrain has 18 steps, 9,144 tokens.");
    assertStringIncludes(page, "Each run of sft has 18 steps.");
    const [{ columns, rows }] = costTables(arms);
    const tokens = rows.map((row) => row[columns.indexOf("tokens trained on")]);
    assertEquals(tokens.slice(0, 2), ["9,144", "20,000"]);
    // The last step alone would say 3.
    assertStringIncludes(page, "where these are more: 0 % Chinese (2.500), ");
  }));

Deno.test("layers of equal parameters have them, at every scale", async () => {
  for (const scale of ["embedded", "small-gpu", "paper"]) {
    const experiment = await readExperiment(`${HERE}ffn.yaml`, scale);
    const count = async (arm: string) => {
      const { runs: [{ settings }] } = planArms(experiment, "runs/x").find((one) =>
        one.arm === arm
      )!;
      const { model } = await loadPretrainSettings(argumentsOf(settings));
      const config = parseConfig({ model_type: "steel", vocab_size: 64, ...model }, arm);
      return config.layers[0].feedForward.parameters.filter(({ name }) => name.includes("proj"))
        .reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
    };
    const published = await count("Soft MoE as published");
    for (
      const arm of [
        ...["causal Soft MoE", "sparse MoE, 2 of 6", "dense, SwiGLU, equal parameters"],
        "dense, SwiGLU on both layers, equal parameters",
      ]
    ) assertEquals(await count(arm), published, `${scale}: ${arm}`);
  }
});

Deno.test("the experiments that are here can be read, and say what they cost", async () => {
  const names = [];
  for await (const { name } of Deno.readDir(HERE)) {
    if (!name.endsWith(".yaml") || name === TIMED) continue;
    names.push(name);
    const plan = async (scale?: string) => {
      const experiment = await readExperiment(HERE + name, scale);
      return planText(experiment, runsOf(planArms(experiment, "runs/x")));
    };
    assert(/tokens each|as long as/.test(await plan()));
    assert(/days together at 63,140 tokens a second/.test(await plan("paper")), name);
  }
  assert(names.length >= 2);
});

Deno.test("a mistake in an experiment's file is told with its place", () =>
  inTemporaryFolder(async (dir) => {
    const refused = async (text: string, scale?: string) => {
      await Deno.writeTextFile(`${dir}/x.yaml`, text);
      const { message } = await assertRejects(
        () => readExperiment(`${dir}/x.yaml`, scale),
        UserError,
      );
      return message.replace(`${dir}/`, "");
    };
    const head = "title: x\nquestion: y\n";
    assertEquals(await refused("titel: x"), 'x.yaml: unknown key "titel"; did you mean "title"?');
    assertEquals(
      await refused(`${head}stages: { pretrain: }\narms: { a: { prtrain: {} } }\nscales: { s: }`),
      'x.yaml: arms.a: unknown key "prtrain"; did you mean "pretrain"?',
    );
    const rest = `${head}stages: { pretrain: }\narms: { a: }\n`;
    assertEquals(
      await refused(`${rest}scales: { s: { budget: { pretrain: { hours: 2 } } } }`),
      'x.yaml: scales.s: budget.pretrain: unknown key "hours".',
    );
    assertEquals(
      await refused(`${rest}scales: { s: , m: }`, "large"),
      "x.yaml: there is no scale large; expected s, m",
    );
    assert(
      (await refused(`${rest}scales: { s: { seeds: [1, 1] } }`)).includes("none of them twice"),
    );
  }));

Deno.test("Table 2 has its rows, with the share that each is of the first, here and in the paper", () =>
  inTemporaryFolder(async (folder) => {
    const experiment = await readExperiment(`${HERE}${TIMED}`, "h100");
    const asked = new Map<string, string[]>();
    /** Half as fast with anything unfused; what is recomputed or sharded is not timed. */
    const runTask: RunTask = async (task, args) => {
      assertEquals(task, "bench:step");
      const { args: own, gpus } = takeGpus(args);
      const { step, run } = await loadStepSettings(own);
      asked.set(run.dir, [...step.unfused, ...gpus === undefined ? [] : [`${gpus} GPUs`]]);
      const isTimed = !step.recompute && gpus === undefined;
      await Deno.mkdir(run.dir, { recursive: true });
      await writeStepSpeed(run.dir, {
        ...isTimed
          ? { tokensPerSecond: step.unfused.length > 0 ? 30_000 : 60_000 }
          : { notRun: "too large" },
        ...{ memoryBytes: 32.4e9, device: "a card", program: "abc" },
      });
    };
    await runExperiment(experiment, folder, "deno task experiment fused", runTask, () => {});
    assertEquals(asked.size, 9);
    assertEquals(asked.get(`${folder}/Exp-3-norm-and-attention-unfused/seed-1/bench-step`), [
      "norm",
      "attention",
    ]);
    assert([...asked.values()].some((arm) => arm.join() === "8 GPUs"));
    const [speed, memory] = resultTables(experiment, await readMeasurements(experiment, folder));
    const row = ({ rows }: Table, name: string) =>
      rows.find(([arm]) => inEnglish(arm).startsWith(name))!.slice(1);
    assertEquals(row(speed, "Exp 7"), ["60,000", "", "15,000", ""]);
    assertEquals(row(speed, "Exp 8"), ["30,000", "50 %", "10,500", "70 %"]);
    assertEquals(row(speed, "all fused, recomputed"), ["", "", "", ""]);
    assertEquals(row(memory, "Exp 8"), ["32.4", "100 %", "75", "114 %"]);
    assert(speed.notes.includes("all fused, sharded over 8 GPUs: too large"));
  }));

Deno.test("settings that an experiment gives its runs itself are refused by name", () =>
  inTemporaryFolder(async (dir) => {
    const refused = async (arm: string, scale: string) => {
      const text = `title: x\nquestion: y\nstages: { pretrain: , sft: }\narms: { a: ${arm} }\n` +
        `scales: { s: ${scale} }`;
      await Deno.writeTextFile(`${dir}/x.yaml`, text);
      const experiment = await readExperiment(`${dir}/x.yaml`);
      try {
        return `${planArms(experiment, "x").length} arms`;
      } catch (error) {
        return (error as Error).message;
      }
    };
    const budget = "{ budget: { pretrain: { tokens: 1 } } }";
    const steps = "{ pretrain: { train: { steps: 9 } } }";
    assertEquals(await refused(steps, ""), "1 arms");
    assertEquals(
      await refused(steps, budget),
      "arms.a: pretrain train.steps: an experiment takes it from the scale's budget of pretrain; " +
        "leave it out",
    );
    for (
      const [stage, name, value] of [
        ["pretrain", "train.seed", 1],
        ["sft", "data.seed", 1],
        ["pretrain", "run.dir", "x"],
        ["sft", "model.path", "x"],
      ]
    ) {
      const [section, key] = String(name).split(".");
      const message = await refused(`{ ${stage}: { ${section}: { ${key}: ${value} } } }`, "");
      assertStringIncludes(message, `arms.a: ${stage} ${name}: an experiment takes it from`);
    }
  }));

Deno.test("arms share no run that starts from another model, and no folder", () =>
  inTemporaryFolder(async (dir) => {
    const planned = async (arms: string) => {
      const stages = "stages: { pretrain: , sft: , dpo: }";
      const text = `title: x\nquestion: y\n${stages}\narms: ${arms}\nscales: { s: }`;
      await Deno.writeTextFile(`${dir}/x.yaml`, text);
      return planArms(await readExperiment(`${dir}/x.yaml`), "x");
    };
    const [whole, without] = await planned("{ whole: , without: { sft: false } }");
    assertEquals(whole.runs[2].base, "x/shared/seed-1/sft");
    assertEquals(without.runs[1].base, "x/shared/seed-1/pretrain");
    assertEquals(without.runs[1].dir, "x/without/seed-1/dpo");
    for (const arms of ["{ a b: , a-b: }", "{ shared: }"]) {
      await assertRejects(() => planned(arms), UserError, "give it another name");
    }
    const none = "{ none: { pretrain: false, sft: false, dpo: false } }";
    await assertRejects(() => planned(none), UserError, "arms.none: it runs no stage");
  }));
