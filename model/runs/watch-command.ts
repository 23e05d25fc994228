/** `deno task watch`: runs in the browser, while they train or after. */
import { parseArgs } from "@std/cli/parse-args";
import { commandArguments } from "../../kernels/host/command-arguments.ts";
import { listen } from "../../kernels/host/listen.ts";
import { next } from "../../kernels/host/next-command.ts";
import { runCommand } from "../../kernels/host/run-command.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { numberFlag } from "../command-line/number-flag.ts";
import { count } from "../number-range.ts";
import { filesBelow } from "./stage-folder.ts";
import { WATCH_PORT } from "./watch-port.ts";
import { RunWatch } from "./run-watch.ts";

const HELP = `Shows runs of training on a page that follows them: losses, speed, memory, samples.

Usage:
  deno task watch [RUN ...] [options]

Examples:
  deno task watch runs/pretrain
  deno task watch runs/a runs/b

It reads the files in the runs' folders, and nothing else: it shows runs that have ended, and those
on another machine's disk. Several runs are drawn on one axis.

Options, with defaults in brackets:
  RUN                      folder of a run, or of several [runs]
  --port N                 port of the page on 127.0.0.1; 0 takes a free one [${WATCH_PORT}]
  --help                   show this text`;

await runCommand(async () => {
  const flags = parseArgs(commandArguments(), {
    string: ["port", "_"],
    boolean: ["help"],
    unknown: (name: string) => {
      if (!name.startsWith("-")) return true;
      throw new UserError(`Unknown argument ${JSON.stringify(name)}; --help lists all.`);
    },
  });
  if (flags.help) return console.log(HELP);
  const port = numberFlag("port", flags.port, { ...count, most: 65535 }) ?? WATCH_PORT;
  const folders = flags._.length > 0 ? flags._.map(String) : ["runs"];
  for (const folder of folders) await filesBelow(folder, 1); // a mistyped one is told at once
  const watch = new RunWatch(folders);
  const { address } = listen((request) => watch.handle(request), { hostname: "127.0.0.1", port });
  console.log(
    `${folders.join(", ")}: open ${address} in a browser. Ctrl-C ends it. ` +
      next("report", folders[0]),
  );
});
