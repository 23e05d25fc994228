/** `deno task report`: a run as one page to read. */

import { parseArgs } from "node:util";
import { join } from "node:path";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { next } from "../../kernels/host/next-command.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { makeFolder } from "../../data/files/make-folder.ts";
import { WholeFile } from "../../data/files/whole-file.ts";
import { toHtml } from "../../data/page/html.ts";
import { toMarkdown } from "../../data/page/markdown.ts";
import type { Page } from "../../data/page/page.ts";
import { experimentPage } from "../experiments/experiment-page.ts";
import { readMeasurements } from "../experiments/measurements.ts";
import { readState } from "../experiments/run-experiment.ts";
import { report } from "./report.ts";
import { readReportData } from "./report-data.ts";

/** The folder beside `report.md` that holds its pictures. */
const CHARTS = "report-charts";

const HELP = `Writes a report about training runs and evaluations: RUN/report.html, and
RUN/report.md with its charts in RUN/report-charts.

Usage:
  deno task report RUN

Example:
  deno task report runs

Options:
  RUN                      folder of one run or of several; each metrics.jsonl in it is a stage of
                           training, each results.json an evaluation; the folder of an experiment
                           gives that experiment's page
  --help                   show this text`;

/** Runs the command line. @throws {UserError} with a message for the person who typed it */
export async function reportCommand(argv: string[]): Promise<void> {
  const { help, folders: [folder, ...rest] } = parse(argv);
  if (help) return console.log(HELP);
  if (folder === undefined) {
    throw new UserError("Give the folder of a run, as in deno task report runs; see --help");
  }
  if (rest.length > 0) throw new UserError(`report: one folder at a time, not ${rest.join(" ")}`);
  const page = await pageOf(folder);
  const markdown = toMarkdown(page, CHARTS);
  await makeFolder(join(folder, CHARTS));
  for (const [path, picture] of markdown.pictures) {
    await WholeFile.write(join(folder, path), picture);
  }
  // After its pictures, so that it never names one that is missing.
  await WholeFile.write(join(folder, "report.md"), markdown.text);
  await WholeFile.write(join(folder, "report.html"), toHtml(page));
  for (const name of ["report.html", "report.md"]) console.log(join(folder, name));
  console.log(`Open the first in a browser. ${next("export")}`);
}

/** The page of an experiment, where the folder is one's, or of the runs in it. */
async function pageOf(folder: string): Promise<Page> {
  const state = await readState(folder);
  if (!state) return report(await readReportData(folder, console.log));
  return experimentPage(state, folder, await readMeasurements(state.experiment, folder));
}

function parse(argv: string[]): { help: boolean; folders: string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { help: { type: "boolean" } },
    });
    return { help: values.help ?? false, folders: positionals };
  } catch {
    throw new UserError("report takes one folder and no options; see --help");
  }
}

if (import.meta.main) await runCommand(() => reportCommand(commandArguments()));
