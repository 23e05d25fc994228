/** Commands that are killed at any moment: given again, they end with what they would have ended with. */
import { Random } from "../../data/random.ts";
import { broken, type Campaign, streamOf } from "./campaign.ts";
import { commandOf, misbehaviour, refusalOf, start } from "./commands.ts";
import { copyFolder, removeFolder } from "./tree.ts";
import {
  difference,
  leftIn,
  makeReady,
  runIn,
  type Undisturbed,
  type WritingCommand,
} from "./writing-commands.ts";

const ENDS_THE_SAME = "a command that was killed ends the same when it is given again";

/**
 * @param dir the folder in which commands run, emptied before each
 * @param count kills, over all commands in turn
 */
export function kills(
  dir: string,
  seed: number,
  commands: WritingCommand[],
  whole: (command: WritingCommand) => Promise<Undisturbed>,
  count: number,
): Campaign {
  return {
    name: "kills",
    atOnce: 1,
    tries: Array.from({ length: count }, (_, index) => ({
      kind: commands[index % commands.length].name,
      index,
    })),
    async attempt(one, keep) {
      const command = await whole(commands.find(({ name }) => name === one.kind)!);
      await removeFolder(dir);
      await makeReady(command, dir);
      const [task, ...args] = command.command;
      const child = start(await commandOf(task, args), dir);
      const moment = new Random(seed, streamOf(one)).uniform() * command.seconds;
      const timer = setTimeout(() => child.kill("SIGKILL"), 1000 * moment);
      const { signal } = await child.output();
      clearTimeout(timer);
      const after = `killed after ${moment.toFixed(1)} of ${command.seconds.toFixed(1)} s`;

      const end = await runIn(command, dir);
      // What was written whole before is not written over.
      const isThere = /exists already/.test(refusalOf(end.stderr) ?? "");
      const failure = misbehaviour(end) ??
        (end.status !== 0 && !isThere ? end.stderr.trim() : undefined);
      const fault = failure ?? difference(command.left, await leftIn(dir));
      if (fault === undefined) {
        return { outcome: "equal", words: signal ? after : "it ended before" };
      }
      await copyFolder(dir, keep);
      return broken(ENDS_THE_SAME, `${after}, given again: ${fault}`);
    },
    async [Symbol.asyncDispose]() {},
  };
}
