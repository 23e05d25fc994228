/** Talking on a terminal: what the keys do. */
import { assertEquals, assertMatch } from "@std/assert";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { converse } from "../../model/command-line/converse.ts";

Deno.test("Ctrl-C stops an answer and not the talk; where there is none it ends the talk", async () => {
  const keys = new PassThrough();
  const press = (key?: string) => setTimeout(() => keys.write(key ?? ""), 5);
  const lines = createInterface({ input: keys, output: new PassThrough(), terminal: true });
  const asked: string[] = [];
  const endless = {
    messages: [],
    reset: () => {},
    async *say(text: string) {
      asked.push(text);
      press("\x03");
      for (let piece = 0; piece < 1000; piece++) {
        yield ".";
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
  let shown = "";
  const next = ["more\r", "\x03"];
  press("hello\r");
  await converse(endless, lines, (text) => {
    shown += text;
    if (text === "\n") press(next.shift());
  });
  assertEquals(asked, ["hello", "more"]);
  assertMatch(shown, /^(\.+\n\(Stopped: .*\)\n){2}$/);
});
