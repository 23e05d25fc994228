import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";
import { parseYaml } from "../../data/text/yaml.ts";
import { fileText } from "../../data/files/text-file.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { writeError } from "../../data/files/file-errors.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).toSorted();

Deno.test("files: a file that cannot be finished leaves the earlier one and nothing else", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/a.json`;
    await WholeFile.write(path, "old");
    const cutOff = async () => {
      await using file = await WholeFile.create(path);
      await file.append(new TextEncoder().encode("ne"));
      throw new Error("the rest cannot be had");
    };
    await assertRejects(cutOff, Error, "the rest cannot be had");
    assertEquals([await Deno.readTextFile(path), namesIn(dir)], ["old", ["a.json"]]);

    await Deno.mkdir(`${dir}/folder`);
    const message = `${dir}/folder: it is a folder; expected the name of a file`;
    await assertRejects(() => WholeFile.write(`${dir}/folder`, "new"), UserError, message);
    assertEquals(namesIn(dir), ["a.json", "folder"]);
  }));

Deno.test({
  name: "files: a full disk is told in the same words, whatever is written",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    // A program of its own, as Deno wants all permissions for what lies in /dev.
    const program = new URL("full-disk.ts", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", program],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  },
});

Deno.test("files: an error that is none of the system's stays what it is", () => {
  const mistake = new TypeError("not a function");
  assertEquals(writeError(mistake, "a"), mistake);
});

Deno.test("files: a log keeps what is whole and grows from there", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/log.jsonl`;
    await Deno.writeTextFile(path, "one\ntwo\nthr");
    for (const [length, line] of [[8, "three\n"], [undefined, "four\n"]] as const) {
      using log = new AppendOnlyFile(path, length);
      log.append(line);
    }
    assertEquals(await Deno.readTextFile(path), "one\ntwo\nthree\nfour\n");
  }));

Deno.test("files: what cannot be read is named with the reason", () =>
  inTemporaryFolder(async (dir) => {
    const none = `${dir}/none: there is no such file or folder`;
    await assertRejects(() => fileText(`${dir}/none`), UserError, none);
    await Deno.writeTextFile(`${dir}/text`, "\uFEFF一\r\n");
    assertEquals(await fileText(`${dir}/text`), "一\r\n");
    await Deno.writeFile(`${dir}/bytes`, Uint8Array.of(0xE4, 0xB8));
    await assertRejects(() => fileText(`${dir}/bytes`), UserError, `${dir}/bytes: not UTF-8 text`);
    assertEquals(parseYaml("a: 1\r\rb: [c,\r\n  d]", "x"), { a: 1, b: ["c", "d"] });
    await assertRejects(() => fileText(dir), UserError, `${dir}: it is a folder; expected a file`);
  }));
