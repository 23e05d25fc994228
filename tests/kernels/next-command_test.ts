/** The command to go on with, as it can be typed on this machine. */
import { assertEquals } from "@std/assert";
import { taskCommand } from "../../kernels/host/next-command.ts";

Deno.test("a command starts as this one was started, and its paths are quoted for a shell", () => {
  const byNpx = "/root/.npm/_npx/7a40be787520bede/node_modules/deno/deno";
  assertEquals(taskCommand(["sft"], "/usr/bin/deno"), "deno task sft");
  assertEquals(taskCommand(["sft"], byNpx), `npx -y deno@${Deno.version.deno} task sft`);
  assertEquals(
    taskCommand(["chat", "--model", "runs/my model's"], "/usr/bin/deno"),
    `deno task chat --model 'runs/my model'\\''s'`,
  );
});
