/** Two processes in one folder: one is refused, or both are right; and the folder is good afterwards. */
import { Random } from "../../data/random.ts";
import { broken, type Campaign, streamOf, type Verdict } from "./campaign.ts";
import { commandOf, type Ended, ended, misbehaviour, start } from "./commands.ts";
import { removeFolder } from "./tree.ts";
import {
  difference,
  leftIn,
  makeReady,
  runIn,
  type Undisturbed,
  type WritingCommand,
} from "./writing-commands.ts";

/**
 * @param dir the folder in which commands run, emptied before each
 * @param count pairs, over all commands in turn
 */
export function pairs(
  dir: string,
  seed: number,
  commands: WritingCommand[],
  whole: (command: WritingCommand) => Promise<Undisturbed>,
  count: number,
): Campaign {
  return {
    name: "pairs",
    atOnce: 1,
    tries: Array.from({ length: count }, (_, index) => ({
      kind: commands[index % commands.length].name,
      index,
    })),
    async attempt(one) {
      const command = await whole(commands.find(({ name }) => name === one.kind)!);
      await removeFolder(dir);
      await makeReady(command, dir);
      const [task, ...args] = command.command;
      const words = await commandOf(task, args);
      const first = ended(start(words, dir), 600);
      const later = new Random(seed, streamOf(one)).uniform() * command.seconds;
      await new Promise((resolve) => setTimeout(resolve, 1000 * later));
      const both = await Promise.all([first, ended(start(words, dir), 600)]);
      const fault = faultOf(both) ?? difference(command.left, await leftIn(dir));
      const again = await runIn(command, dir);
      const isThere = again.status !== 0 && !/exists already/.test(again.stderr);
      const after = misbehaviour(again) ?? (isThere ? again.stderr.trim() : undefined) ??
        difference(command.left, await leftIn(dir));
      return verdictOf(`the second ${later.toFixed(1)} s later`, both, fault, after);
    },
    async [Symbol.asyncDispose]() {},
  };
}

function faultOf(both: Ended[]): string | undefined {
  for (const [i, end] of both.entries()) {
    const fault = misbehaviour(end);
    if (fault) return `${i === 0 ? "the first" : "the second"}: ${fault}`;
  }
  const refused = both.filter(({ status }) => status !== 0);
  if (refused.length === 2) return "both were refused";
  // Export refuses what is there, and need not know who wrote it.
  const isToldWhy = refused.every(({ stderr }) => /another process|exists already/.test(stderr));
  return isToldWhy ? undefined : `refused for another reason: ${refused[0].stderr.trim()}`;
}

function verdictOf(when: string, both: Ended[], fault?: string, after?: string): Verdict {
  const refused = both.find(({ status }) => status !== 0)?.stderr.trim();
  if (fault === undefined && after === undefined) {
    return {
      outcome: refused ? "refused" : "equal",
      words: `${when}: ${refused ?? "both are right"}`,
    };
  }
  const words = [fault, after && `given again: ${after}`].filter(Boolean).join("; ");
  return broken(
    "of two processes in one folder one is refused, or both are right",
    `${when}: ${words}`.slice(0, 800),
  );
}
