/** A small model is taught its name and then to prefer it, and goes on where it was killed. */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { Chat } from "../../model/inference/chat.ts";
import { exists } from "../../data/files/exists.ts";
import { optimizePreferences } from "../../train/dpo.ts";
import { loadDpoSettings } from "../../train/settings/dpo-settings.ts";
import { readMetrics } from "../../model/host/step-metrics.ts";
import { pretrain } from "../../train/pretrain.ts";
import { superviseFineTuning } from "../../train/sft.ts";
import { loadSftSettings } from "../../train/settings/sft-settings.ts";
import { qwen, writePruned } from "../model/pruned-model.ts";
import { contentsOf } from "../folder-contents.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { changeWeights } from "./change-weights.ts";
import { killAt, result, startRun } from "./child-run.ts";
import { tinySettings } from "./tiny-run.ts";

const IDENTITY = ["who are you", "your name"].map((instruction) => ({
  instruction,
  output: "I am {{name}}.",
}));
const PAIRS = ["who are you", "your name", "who made you"].map((instruction) => ({
  instruction,
  chosen: "I am {{name}}.",
  rejected: "I am iron and carbon.",
}));

/** What `deno task chat` shows to someone who types these lines. */
async function chatOnTerminal(model: string, lines: string[], cwd: string): Promise<string> {
  const command = new URL("../../model/chat-command.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", command, "--model", model, "--temperature=0"],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(lines.join("\n") + "\n"));
  await input.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

Deno.test("pretrain, sft, dpo, chat: taught, preferred, killed and resumed bit for bit", () =>
  inTemporaryFolder(async (dir) => {
    const raw = ["--model.FFN_type=raw", "--model.hidden_size=32", "--train.steps=2"];
    (await pretrain(await tinySettings(dir, ...raw)))?.close();

    await Deno.writeTextFile(`${dir}/identity.json`, JSON.stringify(IDENTITY));
    const sft = (run: string) => [
      ...[`--model.path=${dir}/run`, `--data.sets=${dir}/identity.json`, "--data.name=Steel"],
      ...["--data.heldOut=0", "--data.cutoff=64", "--train.batch=2"],
      ...["--train.steps=60", "--train.learningRate=1e-2", "--train.checkpointEvery=30"],
      ...["--train.validateEvery=60", "--train.precision=f32", `--run.dir=${dir}/${run}`],
    ];
    (await superviseFineTuning(await loadSftSettings(sft("sft"))))?.close();
    await killAt({ measured: 32 }, `${dir}/sft-killed`, startRun("sft", sft("sft-killed"), dir));
    const model = (await superviseFineTuning(await loadSftSettings(sft("sft-killed"))))!;
    assertEquals(await result(`${dir}/sft-killed`, 60), await result(`${dir}/sft`, 60));

    const chat = new Chat(model, { temperature: 0, maxTokens: 40 });
    let answer = "";
    for await (const piece of chat.say("who are you")) answer += piece;
    assertEquals(answer, "I am Steel.", "it says the name, and stops by itself");
    assertEquals(chat.messages.map(({ role }) => role), ["user", "assistant"]);
    chat.reset();
    assertEquals(chat.messages, []);
    model.close();
    const typed = ["who \\", "are you", "/reset", "who are you", "/save chat.jsonl", "/exit"];
    const shown = await chatOnTerminal(`${dir}/sft`, typed, dir);
    assertStringIncludes(shown, "I am Steel.\n");
    assertStringIncludes(shown, "Saved as a line of chat.jsonl.");
    assertEquals(JSON.parse(await Deno.readTextFile(`${dir}/chat.jsonl`)), {
      messages: [
        { role: "user", content: "who are you" },
        { role: "assistant", content: "I am Steel." },
      ],
    });

    await Deno.writeTextFile(`${dir}/pairs.json`, JSON.stringify(PAIRS));
    const dpo = (run: string, ...more: string[]) => [
      ...[`--model.path=${dir}/sft`, `--data.sets=${dir}/pairs.json`, "--data.name=Steel"],
      ...["--data.heldOut=0.3", "--data.cutoff=64", "--train.batch=2", "--train.steps=8"],
      ...["--train.learningRate=1e-3", "--train.checkpointEvery=2", "--train.precision=f32"],
      ...[`--run.dir=${dir}/${run}`, ...more],
    ];
    const prefer = async (...args: Parameters<typeof dpo>) =>
      (await optimizePreferences(await loadDpoSettings(dpo(...args))))?.close();
    await prefer("dpo");
    const lines = readMetrics(`${dir}/dpo/metrics.jsonl`);
    const [first, last] = [lines[0], lines.at(-1)!];
    assertAlmostEquals(first.loss, Math.LN2, 1e-6);
    assertEquals([first.chosenReward, first.rejectedReward, first.accuracy], [0, 0, 0]);
    assert(last.margin > 0.1 && last.loss < first.loss && last.accuracy === 1);
    for (const name of ["loss", "rewards", "accuracies", "log-probabilities"]) {
      assert((await Deno.readTextFile(`${dir}/dpo/${name}.svg`)).startsWith("<svg"));
    }
    await killAt({ measured: 3 }, `${dir}/dpo-killed`, startRun("dpo", dpo("dpo-killed"), dir));
    // Of this run's answers: a checkpoint that the base's run gained since is not the reference.
    const gained = `${dir}/sft/checkpoints/step-0000061`;
    await Deno.mkdir(gained);
    const taken = `${dir}/sft/checkpoints/step-0000060`;
    for (const { name } of Deno.readDirSync(taken)) {
      await Deno.copyFile(`${taken}/${name}`, `${gained}/${name}`);
    }
    // What was kept of the reference, and is damaged since, is computed again.
    const damaged = `${dir}/dpo-killed/reference-log-probabilities.json`;
    const text = await Deno.readTextFile(damaged);
    await Deno.writeTextFile(damaged, text.replace(/-(\d)/, (_, digit) => `-${9 - digit}`));
    await prefer("dpo-killed");
    assertEquals(await result(`${dir}/dpo-killed`, 8), await result(`${dir}/dpo`, 8));

    const cache = `${dir}/dpo/reference-log-probabilities.json`;
    await prefer("simpo", "--loss.kind=simpo", "--train.steps=1");
    assert(!await exists(cache.replace("dpo", "simpo")), "a loss without reference computes none");
    await assertRejects(() => prefer("dpo", "--train.batch=3"), UserError, "train.batch was 2");
    await prefer("dpo", `--data.dir=${dir}`); // the same examples: the run is complete
    await assertRejects(
      () => prefer("dpo", `--model.path=${gained}`),
      UserError,
      `model.path was "${taken}" and is now "${gained}"`,
    );
    const before = await contentsOf(`${dir}/dpo`);
    const refusal = async (expected: string) => {
      // A setting that may change, which would show if it were kept.
      await assertRejects(() => prefer("dpo", "--train.validateEvery=7"), UserError, expected);
      assertEquals(await contentsOf(`${dir}/dpo`), before, "a refused command changes nothing");
    };
    await Deno.writeTextFile(
      `${dir}/pairs.json`,
      JSON.stringify(PAIRS).replace("iron", "iron, lead"),
    );
    await refusal("started with other examples");
    await changeWeights(taken);
    await refusal(`${taken}/model.safetensors: of the weights in model.path this is`);
  }));

Deno.test("rules and bases that cannot be are refused before a set is read or a folder made", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/base`, false);
    const refusal = async (...more: string[]) => {
      const args = [`--model.path=${dir}/base`, "--data.sets=none.json", "--data.cutoff=64"];
      const settings = await loadSftSettings([...args, `--run.dir=${dir}/run`, ...more]);
      const { message } = await assertRejects(() => superviseFineTuning(settings), UserError);
      assert(!await exists(`${dir}/run`), message);
      return message;
    };
    for (const other of ["maskHistory", "unseenAnswers"]) {
      const both = await refusal("--data.trainOnPrompt=true", `--data.${other}=true`);
      assertStringIncludes(both, `data.trainOnPrompt and data.${other} cannot both be true`);
    }
    const cutoff = await refusal("--data.cutoff=65");
    assertStringIncludes(cutoff, "data.cutoff is 65, but the model takes at most 64 tokens");
    await Deno.writeTextFile(`${dir}/base/tokenizer.json`, qwen.files()["tokenizer.json"]);
    assertMatch(await refusal(), /base: its tokenizer has 151646 tokens, but its model knows \d+ /);
    await Deno.truncate(`${dir}/base/model.safetensors`, 9);
    assertStringIncludes(await refusal(), "the file is cut off");
    await Deno.remove(`${dir}/base/config.json`);
    assertStringIncludes(await refusal(), "base: there is no checkpoint; expected config.json");
  }));
