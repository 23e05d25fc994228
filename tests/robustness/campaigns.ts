/** All campaigns, each as long as is wished. */
import type { Campaign, CampaignLog, Try } from "./campaign.ts";
import { endurance } from "./endurance.ts";
import { fullDisks } from "./full-disks.ts";
import { writeInputs } from "./inputs.ts";
import { kills } from "./kills.ts";
import { mutations } from "./mutations.ts";
import { pairs } from "./pairs.ts";
import { signals } from "./signals.ts";
import { serving } from "./serving.ts";
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
  /** In seconds. */
  serving?: number;
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
  serving: 600,
};

/** Processes at once, where one does not measure another's time. */
const AT_ONCE = Math.max(1, navigator.hardwareConcurrency >> 1);

/** What `deno task test` runs: of each a little, and nothing twice that other tests look into. */
export const SHORT: Sizes = {
  mutations: 1,
  kills: 4,
  signals: 2,
  pairs: 1,
  "full disks": 1,
  endurance: 5,
  commands: ["data tokenize", "export", "data clean", "report", "pretrain"],
};

/**
 * Runs campaigns, but for what the log holds already.
 *
 * @param wanted which tries; all of them by default
 * @param together whether all campaigns run at once: times are then worth less
 */
export async function runCampaigns(
  log: CampaignLog,
  sizes: Sizes,
  { wanted = () => true, onEntry, together = false }: {
    wanted?: (one: Try) => boolean;
    onEntry?: Parameters<CampaignLog["run"]>[1];
    together?: boolean;
  } = {},
): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "robustness-" });
  const { seed } = log;
  try {
    const inputs = `${work}/inputs`;
    await writeInputs(inputs);
    const commandsIn = async (dir: string) => {
      const all = await writingCommands(dir, inputs);
      return sizes.commands?.map((wanted) => all.find(({ name }) => name === wanted)!) ?? all;
    };
    const commands = await commandsIn(`${work}/base`);
    const whole = undisturbedOnce(`${work}/whole`);
    const [killed, shared, signalled] = ["killed", "shared", "signalled"].map((name) =>
      `${work}/${name}`
    );
    const campaigns: Record<Name, (size: number) => Campaign | Promise<Campaign>> = {
      mutations: (tries) => mutations(work, inputs, seed, tries, AT_ONCE),
      kills: (count) => kills(killed, seed, commands, whole, count),
      signals: async (count) =>
        signals(signalled, seed, await commandsIn(`${signalled}/base`), count),
      pairs: (count) => pairs(shared, seed, commands, whole, count),
      "full disks": (count) => fullDisks(work, seed, commands, whole, count),
      endurance: (seconds) => endurance(`${work}/endurance`, seconds),
      serving: (seconds) => serving(`${work}/serving`, seed, seconds),
    };
    const runs = Object.entries(campaigns).map(([name, campaignOf]) => async () => {
      const size = sizes[name as Name];
      if (size === undefined) return;
      await using campaign = await campaignOf(size);
      campaign.tries = campaign.tries.filter(wanted);
      await log.run(campaign, onEntry);
    });
    if (together) await Promise.all(runs.map((run) => run()));
    else for (const run of runs) await run();
  } finally {
    await removeFolder(work);
  }
}

type Name = Exclude<keyof Sizes, "commands">;
