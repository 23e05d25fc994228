import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { loadDpoSettings } from "../../train/settings/dpo-settings.ts";
import { pretrain } from "../../train/pretrain.ts";
import {
  loadPretrainSettings,
  pretrainHelp,
  pretrainSettings,
} from "../../train/settings/pretrain-settings.ts";
import { settingsToYaml } from "../../train/settings/settings.ts";

async function withYaml<T>(yaml: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(path, yaml);
    return await use(path);
  } finally {
    await Deno.remove(path);
  }
}

async function errorOf(argv: string[]): Promise<string> {
  return (await assertRejects(() => loadPretrainSettings(argv), UserError)).message;
}

Deno.test("settings: arguments go over --config, and --config over the defaults", async () => {
  const defaults = await loadPretrainSettings([]);
  const settings = await withYaml(
    "train:\n  steps: 7\n  microBatch: 3\ndata:\n  source: one.jsonl\nmodel:\n",
    (path) =>
      loadPretrainSettings([
        "--train.steps=9",
        `--config=${path}`,
        "--train.learningRate",
        "1e-4",
        "--data.vocabulary",
        "0",
        "--sample.prompts=a b",
        "--sample.prompts=c",
      ]),
  );
  assertEquals(settings, {
    ...defaults,
    data: { ...defaults.data, source: ["one.jsonl"], vocabulary: 0 },
    train: { ...defaults.train, steps: 9, microBatch: 3, learningRate: 1e-4 },
    sample: { ...defaults.sample, prompts: ["a b", "c"] },
  });
});

Deno.test("settings: an object goes over the defaults, and is checked as arguments are", async () => {
  const defaults = await loadPretrainSettings([]);
  const given = { train: { steps: 7, clip: undefined }, data: { source: ["a.jsonl"] } };
  assertEquals(await pretrainSettings(given), {
    ...defaults,
    data: { ...defaults.data, source: ["a.jsonl"] },
    train: { ...defaults.train, steps: 7 },
  });
  assertEquals(await pretrainSettings({ train: undefined }), defaults);
  const mistakes: [Record<string, unknown>, string][] = [
    [{ train: { steps: 0 } }, "train.steps is 0; expected a whole number of at least 1"],
    [{ train: { stpes: 1 } }, 'unknown setting "train.stpes"; did you mean "train.steps"?'],
    [{ trian: { steps: 1 } }, 'unknown section "trian"; did you mean "train"?'],
    [{ train: 3 }, "train is 3; expected settings by name"],
    [{ model: { mlp_type: "x" } }, 'model.mlp_type is "x"; expected senet or raw'],
  ];
  for (const [mistaken, expected] of mistakes) {
    for (const use of [pretrainSettings, pretrain]) {
      assertStringIncludes((await assertRejects(() => use(mistaken), UserError)).message, expected);
    }
  }
});

Deno.test("settings: written as YAML, they are read back to the same values", async () => {
  const settings = await loadPretrainSettings(["--sample.prompts=123", "--train.epsilon=1e-7"]);
  const readBack = await withYaml(
    settingsToYaml(settings),
    (path) => loadPretrainSettings(["--config", path]),
  );
  assertEquals(readBack, settings);
});

Deno.test("settings: a mistake in an argument is named, with what was meant", async () => {
  assertStringIncludes(await errorOf(["--train.stpes=2"]), 'did you mean "train.steps"?');
  const meant = {
    "--lr=2": '; did you mean "train.learningRate"?',
    "--epochs=2": '; did you mean "train.steps"?',
    "--batch-size=2": '; did you mean "train.microBatch"?',
    "--seed=2": '; did you mean "data.seed" or "train.seed" or "sample.seed"?',
    "--train.sed=2": '; did you mean "train.seed"?',
    "--train.banana=2": 'unknown setting "train.banana". (--help lists all)',
    "--data.constructor=2": 'unknown setting "data.constructor". (--help lists all)',
  };
  for (const [argument, hint] of Object.entries(meant)) {
    assertStringIncludes(await errorOf([argument]), hint);
  }
  assertStringIncludes(await errorOf(["--learning-rate=2"]), 'did you mean "train.learningRate"?');
  assertEquals(
    await errorOf(["--train.steps=1.5"]),
    "--train.steps is 1.5; expected a whole number of at least 1",
  );
  assertEquals(
    await errorOf(["--train.clip", "--train.steps=2"]),
    "--train.clip needs a value: a number of at least 1.2e-38 and at most 8e+37",
  );
  assertStringIncludes(
    await errorOf(["--data.heldOut=0"]),
    "expected a number above 0 and below 1",
  );
  assertStringIncludes(await errorOf(["--train.steps="]), 'is ""; expected a whole number');
  assertStringIncludes(await errorOf(["--model.mlp_type=x"]), "expected senet or raw");
  assertStringIncludes(await errorOf(["steps"]), 'unexpected argument "steps"');
  assertStringIncludes(await errorOf(["--config=missing.yaml"]), "missing.yaml");
});

Deno.test("settings: what f32 does not hold, or takes for 0, never reaches a shader", async () => {
  const { model, train, sample } = await loadPretrainSettings([]);
  const { loss } = await loadDpoSettings([]);
  for (const [section, values] of Object.entries({ model, train, sample, loss })) {
    for (const [key, value] of Object.entries(values)) {
      if (typeof value !== "number") continue;
      const load = section === "loss" ? loadDpoSettings : loadPretrainSettings;
      const given = (amount: number) => load([`--${section}.${key}=${amount}`]);
      await assertRejects(() => given(1e40), UserError, `--${section}.${key} is 1e+40; expected`);
    }
  }
  for (const name of ["train.clip", "train.epsilon", "sample.repetitionPenalty"]) {
    assertEquals(
      await errorOf([`--${name}=1e-50`]),
      `--${name} is 1e-50; expected a number of at least 1.2e-38 and at most 8e+37`,
    );
  }
  await assertRejects(() => loadDpoSettings(["--loss.beta=1e-50"]), UserError, "--loss.beta is");
});

Deno.test("settings: a mistake in a file is named with its line", async () => {
  const cases = {
    "train:\n  # no number\n\n  steps: many\n":
      ':4: train.steps is "many"; expected a whole number',
    "train:\n  step: 3\n": ':2: unknown setting "train.step"; did you mean "train.steps"?',
    "run: {dir: x}\ntrian:\n  steps: 3\n": ':2: unknown section "trian"; did you mean "train"?',
    "train:\n  steps:\n": ":2: train.steps is null",
    "train:\n- steps\n": ":1: expected settings",
    "data:\r\n  source: &s [*s]\r\n": ":2: not valid YAML: a value contains itself",
    ["data:\n  seed: " + "[".repeat(100_000)]: ":2: not valid YAML: it is nested too deeply",
    [`data:\n  seed: [${"x".repeat(9999)}]\n`]: `:2: data.seed is ["${"x".repeat(98)} …; expected`,
    "train:\n  steps: 3\n  steps: 4\n": ":3: not valid YAML: Map keys must be unique",
  };
  for (const [yaml, expected] of Object.entries(cases)) {
    await withYaml(yaml, async (path) => {
      assertStringIncludes(await errorOf(["--config", path]), path + expected);
    });
  }
});

Deno.test("settings: the help lists every setting with its default", async () => {
  const help = await pretrainHelp();
  const lines = help.split("\n");
  for (const [section, fields] of Object.entries(await loadPretrainSettings([]))) {
    const [heading, ...options] = lines.slice(lines.indexOf(`${section}:`));
    assertEquals(heading, `${section}:`);
    for (const key of Object.keys(fields)) {
      assert(options.some((line) => line.startsWith(`  --${section}.${key} `)), key);
    }
  }
  assertMatch(help, /--train\.steps +number of optimizer steps of the whole run \[1500\]/);
  assertEquals(lines.filter((line) => line.length > 100), []);
});

Deno.test("settings: steel-1b has the sizes of the paper's Table 1", async () => {
  const { model, train, data } = await loadPretrainSettings(["--config=train/steel-1b.yaml"]);
  assertEquals(
    [model.num_hidden_layers, model.hidden_size, model.num_attention_heads, model.n_experts],
    [18, 1792, 32, 6],
  );
  assertEquals(Number(model.intermediate_size) / Number(model.mlp_div_ratio), 448);
  assertEquals(train.microBatch * train.accumulation * data.sequence, 1_048_576);
});
