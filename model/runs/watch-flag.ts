import { WATCH } from "../../kernels/host/command-arguments.ts";

/** Takes `--watch` out of a command's arguments. Without it, the command gives up the network. */
export async function takeWatch(
  args: readonly string[],
): Promise<{ args: string[]; watch: boolean }> {
  const watch = args.includes(WATCH);
  if (!watch) await Deno.permissions.revoke({ name: "net" });
  return { args: args.filter((argument) => argument !== WATCH), watch };
}

/**
 * Shows a run on a page while this process trains it. The page is made in a thread of its own, so
 * that training does not wait for it; it ends with the process, or when it is disposed of.
 *
 * @param run the run's folder
 * @param say called with the page's address, or with the reason why there is none
 */
export function watchOwnRun(run: string, say: (text: string) => void): Disposable {
  const worker = new Worker(new URL("./watch-worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<string>) => say(data));
  worker.addEventListener("error", (event) => {
    event.preventDefault(); // whoever trains goes on
    say(`The run cannot be shown: ${event.message}`);
  });
  worker.postMessage(run);
  return { [Symbol.dispose]: () => worker.terminate() };
}
