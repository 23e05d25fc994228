/** What the command lines say to a mistake: one line, status 1, no stack trace. */
import { assert, assertEquals, assertMatch, assertNotMatch, assertThrows } from "@std/assert";
import { UserError } from "../kernels/runtime/user-error.ts";
import { samplingOptions } from "../model/command-line/sampling-flags.ts";
import { writePruned } from "./model/pruned-model.ts";
import { commandOf, ended, start } from "./robustness/commands.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";
import { tinyRun } from "./train/tiny-run.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** No driver for Vulkan, and none for OpenGL, which Deno falls back on. */
const NO_GPU = {
  VK_DRIVER_FILES: "/nonexistent",
  __EGL_VENDOR_LIBRARY_FILENAMES: "/nonexistent",
};

async function complaint(command: string, args: string[], env = {}): Promise<string> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-all", `${ROOT}${command}-command.ts`, ...args],
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assertEquals(code, 1);
  // The Vulkan loader and EGL have warnings of their own.
  const text = new TextDecoder().decode(stderr);
  const lines = text.split("\n").filter((line) => /^error: /.test(line));
  assertEquals(lines.length, 1, text);
  assert(!/^\s+at /m.test(text), text);
  return lines[0];
}

Deno.test("a mistyped setting, a folder that is not there, a wrong type: one line each", async () => {
  const [setting, folder, type, site, gpu, steps, torch] = await Promise.all([
    complaint("train/pretrain", ["--train.stepz=3"]),
    complaint("model/generate", ["--model=/nonexistent", "--prompt=steel"]),
    complaint("train/export", ["--model=/nonexistent", "--output=/none", "--dtype=int8"]),
    complaint("train/export", ["--model=/nonexistent", "--to=web", "--dtype=f32"]),
    complaint("train/bench/profile", ["--gpu=cuda"]),
    complaint("train/bench/bench", ["--steps=few"]),
    complaint("tests/transformers/against-torch", ["--model.FFN_type=softmoe_causal"]),
  ]);
  assertMatch(setting, /--train\.stepz: unknown setting .* did you mean "train\.steps"\?/);
  assertEquals(
    folder,
    "error: /nonexistent: there is no checkpoint; expected config.json, or the folder of a training run that has saved one",
  );
  assertEquals(type, "error: --dtype is int8; expected f32, f16, bf16");
  assertEquals(site, "error: A site's weights are f16 and whole: leave --dtype and --merge out");
  assertEquals(gpu, "error: --gpu=cuda: expected auto, dawn or deno");
  assertEquals(
    torch,
    "error: model.FFN_type is softmoe_causal; the program in PyTorch has softmoe_v3 and raw",
  );
  assertEquals(steps, "error: --steps=few: expected a whole number of at least 1");
});

Deno.test("-h is --help", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${ROOT}train/sft-command.ts`, "-h"],
  }).output();
  assertEquals(code, 0);
  assertMatch(new TextDecoder().decode(stdout), /^Usage:$/m);
});

Deno.test("a command that lacks a permission says which; what is not asked for is given up", () =>
  inTemporaryFolder(async (dir) => {
    const shown = `--preload=${dir}/probe.ts`;
    await Deno.writeTextFile(
      `${dir}/probe.ts`,
      `const states = () => [
        { name: "net", host: "huggingface.co" },
        { name: "run", command: "/usr/bin/mpirun" },
      ].map((each) => each.name + " " + Deno.permissions.querySync(each).state);
      addEventListener("unload", () => console.error(states().join(", ")));`,
    );
    await Deno.mkdir(`${dir}/run`);
    await Deno.writeTextFile(`${dir}/run/metrics.jsonl`, '{"step":1,"loss":2}\n');
    /** The task's own permissions, but for one. */
    const told = async (task: string, without: string, ...args: string[]) => {
      const command = await commandOf(task, args);
      const kept = command.filter((word) => word.split("=")[0] !== without);
      kept.splice(2, 0, shown);
      return (await ended(start(kept, dir), 60)).stderr;
    };
    const [read, write, given, dropped] = await Promise.all([
      told("report", "--allow-read", "run"),
      told("report", "--allow-write", "run"),
      told("eval", "", "compare", "run", "--download", "--gpus=1"),
      told("eval", "", "compare", "run"),
    ]);
    assertMatch(read, /^error: run.*: reading is not permitted: Requires read access/m);
    assertMatch(write, /^error: run.*: writing is not permitted: Requires write access/m);
    assertMatch(given, /^net granted, run (?:granted|prompt)$/m); // prompt where there is no MPI
    assertMatch(dropped, /^net prompt, run prompt$/m);
    const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
    for (const [name, { command }] of Object.entries<{ command: string }>(tasks)) {
      // They run other programs.
      if (
        name.startsWith("test") || ["bench:kernels", "bench:peers", "bench:torch"].includes(name)
      ) continue;
      assert(!/--allow-(all|net|run|env|sys)( |$)|-A /.test(command), `${name}: ${command}`);
      if (["data", "export", "report"].includes(name)) {
        assertNotMatch(command, /allow-(ffi|net|run)/);
      }
      if (["generate", "bench", "profile"].includes(name)) assertNotMatch(command, /allow-write/);
    }
  }));

Deno.test("every command that may install a driver takes --no-install", async () => {
  const commands = [
    "train/pretrain",
    "train/sft",
    "train/dpo",
    "model/generate",
    "model/chat",
    "model/serve",
  ];
  for (const command of [...commands, "eval/eval", "train/bench/bench", "train/bench/profile"]) {
    const message = await complaint(command, ["--no-install", "--x-y=1"]);
    assertMatch(message, /x-y/, command);
    assert(!message.includes("no-install"), message);
  }
});

Deno.test({
  name: "a missing driver is not installed with --no-install: the command for it is said",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    // Where drivers register themselves, empty for this process alone.
    const hide = "for d in /etc /usr/local/share /usr/share; do test ! -d $d/vulkan || " +
      "mount -t tmpfs tmpfs $d/vulkan || exit 9; done; ";
    const words = [
      ...await commandOf("generate", ["--model=/nonexistent", "--prompt=a", "--no-install"]),
    ];
    const namespace = Deno.uid() === 0 ? "-m" : "-Urm";
    const { code, stderr } = await new Deno.Command("unshare", {
      args: [namespace, "sh", "-c", `${hide}exec "$@"`, "sh", ...words],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stderr);
    assertEquals(code, 1, text);
    assertMatch(text, /^error: No Vulkan driver was found, and --no-install forbids/);
    assertMatch(text, /apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers/);
  },
});

Deno.test("generate without a prompt begins a document, and says so", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/pruned`, false);
    const options = ["--model=pruned", "--max-tokens=3", "--temperature=0"];
    const { status, stdout, stderr } = await ended(
      start(await commandOf("generate", options), dir),
      100,
    );
    assertEquals(status, 0, stderr);
    assert(stdout.trim().length > 0);
    assertMatch(
      stderr,
      /^Without --prompt "TEXT", the model writes a document from its beginning/m,
    );
    assertMatch(stderr, /^Next: .*task export --model pruned/m);
  }));

Deno.test("arguments of sampling that are out of range, and an empty prompt, before a model is read", async () => {
  const model = "--model=/nonexistent";
  assertEquals(
    await complaint("model/generate", [model, "--prompt", ""]),
    'error: --prompt is empty; give the text to continue, as in --prompt "明月"',
  );
  const expected = {
    "--max-tokens=2.5": "a whole number of at least 1",
    "--temperature=-1": "a number of at least 0 and at most 8e+37",
    "--top-p=5": "a number of at least 0 and at most 1",
    "--top-k=0.5": "a whole number of at least 0",
    "--repetition-penalty=1e-40": "a number of at least 1.2e-38 and at most 8e+37",
    "--repetition-penalty=1e39": "a number of at least 1.2e-38 and at most 8e+37",
    "--seed=4294967297": "a whole number of at least 0 and at most 4294967295",
  };
  for (const [flag, range] of Object.entries(expected)) {
    const [name, text] = flag.slice(2).split("=");
    const error = assertThrows(() => samplingOptions({ [name]: text }), UserError);
    assertEquals(error.message, `${flag}: expected ${range}`);
  }
  assertEquals(
    await complaint("model/chat", [model, "--top-p=5"]),
    "error: --top-p=5: expected a number of at least 0 and at most 1",
  );
});

Deno.test("generate ends where nobody reads on, without a stack trace", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/pruned`, false);
    const options = ["--model=pruned", "--prompt=明月", "--temperature=0"];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", `${ROOT}model/generate-command.ts`, ...options],
      cwd: dir,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await child.stdout.cancel();
    const errors = await new Response(child.stderr).text();
    assertEquals([(await child.status).code, /^\s+at /m.test(errors)], [141, false], errors);
  }));

Deno.test({
  name: "without an adapter it is said what to install",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTemporaryFolder(async (dir) => {
      const message = await complaint("train/pretrain", await tinyRun(dir), NO_GPU);
      assertMatch(message, /No WebGPU adapter was found: .*apt-get install .*mesa-vulkan-drivers/);
    }),
});
