import { UserError } from "../runtime/user-error.ts";
import type { Communicator } from "./communicator.ts";

/** What a rank is about to do, by name; what is undefined is like what is left out. */
export type RankFacts = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Compares what the ranks are about to do, before they do it: ranks that do not compute the same
 * make a wrong model, or wait for each other for ever. All ranks call it.
 *
 * @param facts must be the same on all ranks
 * @param devices may differ, which is told to `say` on every rank
 * @throws UserError naming the first rank that differs from rank 0, with both values
 */
export async function requireSame(
  ranks: Communicator,
  facts: RankFacts,
  devices: RankFacts,
  say: (text: string) => void,
): Promise<void> {
  if (ranks.size === 1) return;
  const told = await ranks.allGatherText(JSON.stringify({ host: ranks.host, facts, devices }));
  const [first, ...others] = told.map((text): Told => JSON.parse(text));
  for (const [index, other] of others.entries()) {
    const name = `rank ${index + 1} on host ${other.host}`;
    const [fact] = differences(first.facts, other.facts);
    if (fact !== undefined) {
      throw new UserError(
        `${name} would not do the same as rank 0 on host ${first.host}: ${fact}. Start all ranks ` +
          `with the same program, arguments and files.`,
      );
    }
    const [device] = differences(first.devices, other.devices);
    if (device !== undefined) {
      say(`Warning: ${name} is unlike rank 0: ${device}. The slower one sets the pace.`);
    }
  }
}

interface Told {
  readonly host: string;
  readonly facts: RankFacts;
  readonly devices: RankFacts;
}

/** Such as `train.steps is 200, and 100 on rank 0`. */
function differences(first: RankFacts, other: RankFacts): string[] {
  const names = [...new Set([...Object.keys(first), ...Object.keys(other)])];
  return names.filter((name) => first[name] !== other[name])
    .map((name) => `${name} is ${other[name] ?? "not set"}, and ${first[name] ?? "not set"} there`);
}
