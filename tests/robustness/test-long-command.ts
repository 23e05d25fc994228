/** `deno task test:long`: all campaigns of damage and disturbance, for hours. */
import { parseArgs } from "node:util";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../mod.ts";
import { CampaignLog } from "./campaign.ts";
import { LONG, runCampaigns, type Sizes } from "./campaigns.ts";

const HELP = `Damages and disturbs all that reads and writes, for hours.

Files of every format are damaged, commands are killed, runs are told to end, two are started in
one folder, disks are filled, memory is watched for an hour, and many clients ask a server. A log
keeps what was tried, so that the same command goes on where it was stopped. Beside it are the
inputs of what was found; the status is 1 if anything was.

Usage:
  deno task test:long [options]

Options:
  --only NAME    this campaign alone; may be repeated:
                 ${Object.keys(LONG).join(", ")}
  --size N       so many tries instead of the usual number; of endurance and serving, seconds
  --kind NAME    only tries of this format or command; may be repeated
  --index N      only the try of this number, again if the log has it
  --seed N       seed of all that is drawn [3407]
  --log DIR      folder of the log [runs/robustness]

Examples:
  deno task test:long
  deno task test:long --only=mutations --size=20 --log=runs/damage`;

await runCommand(async () => {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...{ seed: { type: "string" }, log: { type: "string" }, size: { type: "string" } },
      ...{ index: { type: "string" }, help: { type: "boolean" } },
      only: { type: "string", multiple: true },
      kind: { type: "string", multiple: true },
    },
  });
  if (values.help) return console.log(HELP);
  const { seed = "3407", log: dir = "runs/robustness", only = Object.keys(LONG), kind, index } =
    values;
  const unknown = only.find((name) => !(name in LONG));
  if (unknown !== undefined) {
    throw new UserError(`--only=${unknown}: expected ${Object.keys(LONG).join(", ")}`);
  }
  const sizes: Sizes = Object.fromEntries(
    only.map((name) => [name, Number(values.size ?? LONG[name as keyof Sizes])]),
  );
  const log = await CampaignLog.open(dir, Number(seed));
  if (index !== undefined) log.forget(kind ?? [], Number(index));
  await runCampaigns(log, sizes, {
    wanted: (one) => (kind?.includes(one.kind) ?? true) && Number(index ?? one.index) === one.index,
    onEntry: ({ campaign, kind, index, outcome, words, seconds }) =>
      console.log(`${campaign}, ${kind}, ${index}: ${outcome}, ${words} (${seconds} s)`),
  });
  console.log(`\n${log.summary()}`);
  if (log.findings.length > 0) Deno.exitCode = 1;
});
