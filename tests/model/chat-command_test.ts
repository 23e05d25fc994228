import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inTemporaryFolder } from "../temporary-folder.ts";
import { writePruned } from "./pruned-model.ts";

/** What `deno task chat` prints when `typed` is piped into it, and what it says around the chat. */
async function chatOf(typed: string, dir: string): Promise<{ shown: string; around: string }> {
  const command = new URL("../../model/chat-command.ts", import.meta.url).pathname;
  const options = ["--model", "pruned", "--system", "X", "--max-tokens=1", "--temperature=0"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", command, ...options],
    cwd: dir,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(typed));
  await input.close();
  const { stdout, stderr } = await child.output();
  return { shown: new TextDecoder().decode(stdout), around: new TextDecoder().decode(stderr) };
}

Deno.test("a chat keeps nothing where nothing was said, and the last line though it would go on", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/pruned`, false);
    const { shown, around } = await chatOf(
      "/reset\n/save none.jsonl\n春\\\n眠\n/save said.jsonl\\",
      dir,
    );
    assertMatch(around, /This is pruned\. \/reset .*\/save FILE .*\/exit/);
    assertMatch(around, /Next: (npx -y deno@[\d.]+|deno) task eval demo --model pruned\n$/);
    assertStringIncludes(shown, "nothing was said yet\n");
    assertStringIncludes(shown, "Saved as a line of said.jsonl.\n");
    const files = (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
    assertEquals(files, ["pruned", "said.jsonl"]);
    const { messages } = JSON.parse(await Deno.readTextFile(`${dir}/said.jsonl`));
    assertEquals(messages.slice(0, 2), [
      { role: "system", content: "X" },
      { role: "user", content: "春\n眠" },
    ]);
  }));

Deno.test("a chat that has grown too long says so, and goes on after /reset", () =>
  inTemporaryFolder(async (dir) => {
    await writePruned(`${dir}/pruned`, false);
    const { shown } = await chatOf(`春\n${"春".repeat(30)}\n/reset\n眠\n/save said.jsonl\n`, dir);
    assertMatch(shown, /This makes the chat \d+ tokens long, .* at most 64 .* or reset the chat\./);
    const { messages } = JSON.parse(await Deno.readTextFile(`${dir}/said.jsonl`));
    assertEquals(messages[1], { role: "user", content: "眠" });
  }));
