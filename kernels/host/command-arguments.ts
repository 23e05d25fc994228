/** The argument that forbids the installation, for every command that may install. */
export const NO_INSTALL = "--no-install";

/** What it means, for a help text. */
export const NO_INSTALL_MEANING = "do not install a missing Vulkan driver, but say how to";

/** The argument that says on how many GPUs a command computes. */
export const GPUS = "--gpus";

/** What it means, for a help text. */
export const GPUS_MEANING = "number of this machine's GPUs to compute on, or all";

/** The argument that shows a run on a page while it trains. */
export const WATCH = "--watch";

/** What it means, for a help text. */
export const WATCH_MEANING = "show the run on a page of 127.0.0.1 while it trains";

/**
 * The command line as commands read it: `-h` is `--help`, and `--no-install` is left out, which only
 * `installMissingDriver` reads.
 */
export function commandArguments(): string[] {
  return Deno.args.filter((argument) => argument !== NO_INSTALL)
    .map((argument) => argument === "-h" ? "--help" : argument);
}
