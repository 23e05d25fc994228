/** Commands on a disk that is too small: they say so, and go on when there is room. */
import { Random } from "../../data/random.ts";
import { broken, type Campaign, streamOf } from "./campaign.ts";
import { misbehaviour } from "./commands.ts";
import {
  difference,
  leftIn,
  runIn,
  type Undisturbed,
  type WritingCommand,
} from "./writing-commands.ts";

const IS_TOLD = "a full disk is told, and the command goes on when there is room";

/** What a message about a full disk holds. */
const FULL = /disk is full|No space left|ENOSPC|os error 28/;

/**
 * @param count disks, over all commands in turn; none where a disk cannot be mounted, which takes root
 */
export async function fullDisks(
  work: string,
  seed: number,
  commands: WritingCommand[],
  whole: (command: WritingCommand) => Promise<Undisturbed>,
  count: number,
): Promise<Campaign> {
  const disk = `${work}/disk`;
  await Deno.mkdir(disk, { recursive: true });
  const canMount = await mount(disk, 1e6) && await unmount(disk);
  if (!canMount) console.log("full disks: left out, since no disk can be mounted here");
  return {
    name: "full disks",
    atOnce: 1,
    tries: Array.from({ length: canMount ? count : 0 }, (_, index) => ({
      kind: commands[index % commands.length].name,
      index,
    })),
    async attempt(one) {
      const command = await whole(commands.find(({ name }) => name === one.kind)!);
      const dir = `${disk}/run`;
      const share = new Random(seed, streamOf(one)).uniform();
      await mount(disk, Math.max(16_384, Math.round(share * command.bytes)));
      try {
        const words = `${(100 * share).toFixed(0)} % of ${command.bytes} bytes`;
        const small = await tryIn(command, dir);
        if (small.fault) return broken(IS_TOLD, `${words}: ${small.fault}`);
        await mount(disk, 1e9, "remount,");
        const large = await runIn(command, dir);
        const fault = misbehaviour(large) ?? difference(command.left, await leftIn(dir));
        if (fault) return broken(IS_TOLD, `${words}, given again with room: ${fault}`);
        return {
          outcome: small.refusal ? "refused" : "equal",
          words: `${words}: ${small.refusal ?? "enough"}`,
        };
      } finally {
        await unmount(disk);
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Runs a command where room may be short. */
async function tryIn(
  command: Undisturbed,
  dir: string,
): Promise<{ fault?: string; refusal?: string }> {
  let end;
  try {
    end = await runIn(command, dir);
  } catch (error) {
    return { refusal: `not even its inputs fit: ${(error as Error).message}` };
  }
  const misbehaved = misbehaviour(end);
  if (misbehaved) return { fault: misbehaved };
  if (end.status === 0) {
    const differs = difference(command.left, await leftIn(dir));
    return differs === undefined ? {} : { fault: `it ended as if all were well, but ${differs}` };
  }
  const refusal = end.stderr.trim().split("\n").at(-1)!;
  return FULL.test(end.stderr)
    ? { refusal }
    : { fault: `it does not say that the disk is full: ${refusal}` };
}

async function mount(dir: string, bytes: number, how = ""): Promise<boolean> {
  return await succeeds("mount", ["-t", "tmpfs", "-o", `${how}size=${bytes}`, "tmpfs", dir]);
}

async function unmount(dir: string): Promise<boolean> {
  return await succeeds("umount", [dir]);
}

async function succeeds(program: string, args: string[]): Promise<boolean> {
  const options = { args, stdout: "null", stderr: "null" } as const;
  return await new Deno.Command(program, options).output().then(
    ({ success }) => success,
    () => false,
  );
}
