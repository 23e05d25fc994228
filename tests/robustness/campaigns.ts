/** All campaigns, each as long as is wished. */
import type { Campaign, CampaignLog, Try } from "./campaign.ts";
import { endurance } from "./endurance.ts";
import { fullDisks } from "./full-disks.ts";
import { writeInputs } from "./inputs.ts";
import { kills } from "./kills.ts";
import { mutations } from "./mutations.ts";
import { pairs } from "./pairs.ts";
import { signals } from "./signals.ts";
import { removeFolder } from "./tree.ts";
import { undisturbedOnce, writingCommands } from "./writing-commands.ts";

/** How much of each there is; what is not named is left out. */
export interface Sizes {
  /** Damaged files of each format; of slow ones fewer. */
  mutations?: number;
  kills?: number;
  signals?: number;
  pairs?: number;
  "full disks"?: number;
  /** In seconds. */
  endurance?: number;
  /** Names of the commands that are disturbed; all of them if undefined. */
  commands?: string[];
}

/** What `deno task test:long` runs. */
export const LONG: Sizes = {
  mutations: 200,
  kills: 200,
  signals: 100,
  pairs: 20,
  "full disks": 60,
  endurance: 3600,
};

/** Processes at once, where one does not measure another's time. */
const AT_ONCE = Math.max(1, navigator.hardwareConcurrency >> 1);

/**
 * Runs campaigns, but for what the log holds already.
 *
 * @param wanted which tries; all of them by default
 */
export async function runCampaigns(
  log: CampaignLog,
  sizes: Sizes,
  wanted: (one: Try) => boolean = () => true,
  onEntry?: Parameters<CampaignLog["run"]>[1],
): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "robustness-" });
  const { seed } = log;
  try {
    const inputs = `${work}/inputs`;
    await writeInputs(inputs);
    const all = await writingCommands(`${work}/base`, inputs);
    const { commands: names = all.map(({ name }) => name) } = sizes;
    const commands = all.filter(({ name }) => names.includes(name));
    const whole = undisturbedOnce(`${work}/whole`);
    const campaigns: Record<
      Exclude<keyof Sizes, "commands">,
      (size: number) => Campaign | Promise<Campaign>
    > = {
      mutations: (tries) => mutations(work, inputs, seed, tries, AT_ONCE),
      kills: (count) => kills(work, seed, commands, whole, count),
      signals: (count) => signals(work, seed, commands, count),
      pairs: (count) => pairs(work, seed, commands, whole, count),
      "full disks": (count) => fullDisks(work, seed, commands, whole, count),
      endurance: (seconds) => endurance(`${work}/endurance`, seconds),
    };
    for (const [name, campaignOf] of Object.entries(campaigns)) {
      const size = sizes[name as keyof typeof campaigns];
      if (size === undefined) continue;
      await using campaign = await campaignOf(size);
      campaign.tries = campaign.tries.filter(wanted);
      await log.run(campaign, onEntry);
    }
  } finally {
    await removeFolder(work);
  }
}
