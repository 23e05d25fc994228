/** `deno task test:long`: all campaigns of damage and disturbance, for hours. */
import { parseArgs } from "node:util";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../mod.ts";
import { CampaignLog } from "./campaign.ts";
import { LONG, runCampaigns, type Sizes } from "./campaigns.ts";

const HELP = `deno task test:long [options]

Damages files of every format that is read, kills commands, tells runs to end, starts two in one
folder, fills disks, and watches memory for an hour. What was tried is in a log: stopped, the same
command goes on. The status is 1 if there is a finding.

  --only NAME    only this campaign (${Object.keys(LONG).join(", ")}); may be repeated
  --size N       how many tries, or seconds of endurance, instead of the usual number
  --seed N       of all that is drawn [3407]
  --log DIR      where the log and the inputs of findings are kept [runs/robustness]
  --kind NAME    only tries of this format or command
  --index N      only the try of this number, again even if it is in the log`;

await runCommand(async () => {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...{ seed: { type: "string" }, log: { type: "string" }, size: { type: "string" } },
      ...{ kind: { type: "string" }, index: { type: "string" }, help: { type: "boolean" } },
      only: { type: "string", multiple: true },
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
  if (index !== undefined) log.forget(kind, Number(index));
  await runCampaigns(log, sizes, {
    wanted: (one) => (kind ?? one.kind) === one.kind && Number(index ?? one.index) === one.index,
    onEntry: ({ campaign, kind, index, outcome, words, seconds }) =>
      console.log(`${campaign}, ${kind}, ${index}: ${outcome}, ${words} (${seconds} s)`),
  });
  console.log(`\n${log.summary()}`);
  if (log.findings.length > 0) Deno.exitCode = 1;
});
