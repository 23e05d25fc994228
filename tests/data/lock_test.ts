import { assert, assertEquals, assertRejects } from "@std/assert";
import { Lock } from "../../data/files/lock.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

/** A process that locks the folder and keeps it until it is killed. */
async function holder(dir: string): Promise<Deno.ChildProcess> {
  const module = new URL("../../data/files/lock.ts", import.meta.url);
  const code = `const { Lock } = await import("${module}");
    const lock = await Lock.ofFolder(${JSON.stringify(dir)});
    console.log("locked");
    setInterval(() => lock, 1000);`;
  const args = ["eval", "--no-check", code];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  return child;
}

Deno.test("lock: a second process is refused by name, a kill leaves no lock, the end no file", () =>
  inTemporaryFolder(async (dir) => {
    const child = await holder(dir);
    const refusal = await assertRejects(() => Lock.ofFolder(dir), UserError);
    assert(refusal.message.startsWith(`${dir}: another process writes here: `), refusal.message);
    assert(refusal.message.includes(`(process ${child.pid}`), refusal.message);

    child.kill("SIGKILL");
    await child.status;
    {
      await using _ = await Lock.ofFolder(dir);
      await assertRejects(() => Lock.ofFolder(dir), UserError, `(process ${Deno.pid}`);
    }
    {
      await using _ = await Lock.ofFolder(`${dir}/runs/new`);
    }
    assertEquals([...Deno.readDirSync(`${dir}`)].map(({ name }) => name), ["runs"]);
    assertEquals([...Deno.readDirSync(`${dir}/runs`)], []);
  }));

Deno.test("lock: a file is locked beside it, and its folder is made", () =>
  inTemporaryFolder(async (dir) => {
    await using _ = await Lock.beside(`${dir}/new/a.jsonl`);
    await using _other = await Lock.beside(`${dir}/new/b.jsonl`);
    const refusal = `${dir}/new/a.jsonl: another process writes here`;
    await assertRejects(() => Lock.beside(`${dir}/new/a.jsonl`), UserError, refusal);
    assertEquals(
      [...Deno.readDirSync(`${dir}/new`)].map(({ name }) => name).toSorted(),
      [".a.jsonl.lock", ".b.jsonl.lock"],
    );
  }));

Deno.test("lock: of those who wait for the holder's end, one at a time gets it", () =>
  inTemporaryFolder(async (dir) => {
    let holding = 0;
    let taken = 0;
    const taker = async () => {
      while (true) {
        try {
          await using _ = await Lock.ofFolder(`${dir}/new`);
          assertEquals(++holding, 1);
          await new Promise((resolve) => setTimeout(resolve, 1));
          holding--;
          return taken++;
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
    };
    await Promise.all(Array.from({ length: 20 }, taker));
    assertEquals(taken, 20);
  }));

Deno.test("lock: where the disk keeps no locks, the file itself is the lock", () =>
  inTemporaryFolder(async (dir) => {
    const tryLock = Deno.FsFile.prototype.tryLock;
    Deno.FsFile.prototype.tryLock = () => Promise.reject(new Error("ENOSYS"));
    try {
      {
        await using _ = await Lock.ofFolder(dir);
        const refusal = await assertRejects(() => Lock.ofFolder(dir), UserError);
        assert(refusal.message.startsWith(`${dir}/.lock: this disk keeps no locks`));
        assert(refusal.message.includes(`(process ${Deno.pid}`), refusal.message);
      }
      await using _ = await Lock.ofFolder(dir);
    } finally {
      Deno.FsFile.prototype.tryLock = tryLock;
    }
  }));
