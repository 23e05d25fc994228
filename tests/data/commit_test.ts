import { assertEquals } from "@std/assert";
import { pathToFileURL } from "node:url";
import { currentCommit } from "../../data/files/commit.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

Deno.test("the commit is read from git's files: of a branch, packed or not, and of a worktree", async () => {
  await inTemporaryFolder(async (dir) => {
    const [a, b] = ["a".repeat(40), "b".repeat(40)];
    const commitOf = (name: string) => currentCommit(pathToFileURL(`${dir}/${name}`));
    assertEquals(await commitOf(".git"), undefined);
    await Deno.mkdir(`${dir}/.git/refs/heads`, { recursive: true });
    await Deno.mkdir(`${dir}/.git/worktrees/w`, { recursive: true });
    await Deno.writeTextFile(`${dir}/.git/HEAD`, "ref: refs/heads/main\n");
    assertEquals(await commitOf(".git"), undefined);
    await Deno.writeTextFile(
      `${dir}/.git/packed-refs`,
      `# pack\n${b} refs/heads/m\n${a} refs/heads/main\n`,
    );
    assertEquals(await commitOf(".git"), a);
    await Deno.writeTextFile(`${dir}/.git/refs/heads/main`, `${b}\n`);
    assertEquals(await commitOf(".git"), b);
    await Deno.writeTextFile(`${dir}/.git/worktrees/w/HEAD`, "ref: refs/heads/main\n");
    await Deno.writeTextFile(`${dir}/.git/worktrees/w/commondir`, "../..\n");
    await Deno.writeTextFile(`${dir}/file`, `gitdir: ${dir}/.git/worktrees/w\n`);
    assertEquals(await commitOf("file"), b);
    await Deno.writeTextFile(`${dir}/.git/HEAD`, `${a}\n`);
    assertEquals(await commitOf(".git"), a);
  });
});
