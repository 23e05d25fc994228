/** Writes to a full disk in every way there is; `files_test.ts` runs it with all permissions. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";
import { writeFolderAtomically } from "../../data/files/atomic-folder.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

/** Whatever is written to this device finds no space left. */
const FULL = "/dev/full";

const FULL_DISK =
  "the disk is full; this file needs 3 bytes (0.0 MB): free some space and run the " +
  "same command again, or choose another folder";

await inTemporaryFolder(async (dir) => {
  const full = async (folder: string) => {
    await Deno.symlink(FULL, `${folder}/a.unfinished`);
    await WholeFile.write(`${folder}/a`, "new");
  };
  await assertRejects(() => full(dir), UserError, `${dir}/a: ${FULL_DISK}`);
  await assertRejects(() => writeFolderAtomically(`${dir}/b`, full), UserError, FULL_DISK);
  assertEquals([...Deno.readDirSync(dir)], []);

  await Deno.symlink(FULL, `${dir}/log`);
  using log = new AppendOnlyFile(`${dir}/log`);
  assertThrows(() => log.append("line\n"), UserError, `${dir}/log: the disk is full: free`);
});
