/** `deno task experiment`: arms that differ in one thing, run and measured alike. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { taskCommand } from "../../kernels/host/next-command.ts";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { installMissingDriver } from "../../kernels/host/vulkan-driver.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { textTable } from "../../data/page/table.ts";
import { reportCommand } from "../report/report-command.ts";
import { readExperiment } from "./experiment.ts";
import { costTables, planText, resultTables } from "./experiment-page.ts";
import { readMeasurements } from "./measurements.ts";
import { planArms, runsOf } from "./plan.ts";
import { runExperiment } from "./run-experiment.ts";
import { runTask } from "./task-process.ts";

/** The experiments that are here. */
const NAMES = ["baseline", "ffn", "language-share", "mixtures", "alignment", "fused"];

const HELP = `Runs an experiment: arms that differ in one thing, from several seeds, measured alike.
An experiment that was stopped goes on when the same command is given again.

Usage:
  deno task experiment NAME [--scale SCALE] [--out DIR] [--plan]
  deno task experiment FILE.yaml [--scale SCALE] [--out DIR] [--plan]

Examples:
  deno task experiment ffn
  deno task experiment baseline --scale=paper --plan

Experiments:
  baseline                 pretraining with ten checkpoints, beside Figure 3 of the paper
  ffn                      Soft MoE beside dense, sparse and causal feed-forward layers
  language-share           SFT with 0 to 100 % Chinese from one checkpoint
  mixtures                 the five mixtures of Table 3 of the paper
  alignment                SFT beside DPO, IPO, ORPO and SimPO
  fused                    single kernels beside elementary operators: Table 2 of the paper
  FILE.yaml                one of your own: see docs/experiments.md

Options, with defaults in brackets:
  --scale SCALE            how large: a name under scales in the file [its first: two CPU cores]
  --out DIR                folder of the experiment [runs/experiments/NAME-SCALE]
  --plan                   say what would be run and what it costs, and run nothing
  --help                   show this text`;

/** Runs the command line. @throws {UserError} with a message for the person who typed it */
async function experimentCommand(argv: string[]): Promise<void> {
  const { values, positionals: [name, ...rest] } = parse(argv);
  if (values.help) return console.log(HELP);
  if (name === undefined || rest.length > 0) {
    throw new UserError(`Give one experiment: ${NAMES.join(", ")}, or a FILE.yaml; see --help`);
  }
  const experiment = await readExperiment(pathOf(name), values.scale);
  const folder = values.out ??
    join("runs/experiments", `${experiment.name}-${experiment.scaleName}`);
  if (values.plan) {
    return console.log(planText(experiment, runsOf(planArms(experiment, folder))));
  }
  await installMissingDriver();
  const command = taskCommand(["experiment", ...argv]);
  await runExperiment(experiment, folder, command, runTask, (line) => console.log(`\n${line}`));
  const arms = await readMeasurements(experiment, folder);
  const tables = [...resultTables(experiment, arms), ...costTables(arms)].map(textTable);
  console.log(`\n${experiment.title}\n${tables.join("\n")}\n`);
  await reportCommand([folder]);
}

function pathOf(name: string): string {
  if (/\.ya?ml$/.test(name)) return name;
  if (NAMES.includes(name)) return fileURLToPath(new URL(`./${name}.yaml`, import.meta.url));
  throw new UserError(
    `there is no experiment ${name}; expected ${NAMES.join(", ")}, or a FILE.yaml`,
  );
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        scale: { type: "string" },
        out: { type: "string" },
        plan: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    const [mistake] = (error as Error).message.split(/\.\s/);
    throw new UserError(`${mistake}; --help lists the options`);
  }
}

if (import.meta.main) await runCommand(() => experimentCommand(commandArguments()));
