/** A thread that shows the run of its process; see `watchOwnRun`. */
import { listen } from "../../kernels/host/listen.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { WATCH_PORT } from "./watch-port.ts";
import { RunWatch } from "./run-watch.ts";

/** What a worker has, for TypeScript, which takes this for a page. */
const thread = self as unknown as {
  addEventListener(type: "message", listener: (event: MessageEvent<string>) => void): void;
  postMessage(text: string): void;
};

thread.addEventListener("message", ({ data: run }) => {
  const watch = new RunWatch([run]);
  const on = (port: number) =>
    listen((request) => watch.handle(request), { hostname: "127.0.0.1", port });
  try {
    thread.postMessage(`Watch the run at ${freeOf(on).address}, while it trains.`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    thread.postMessage(`The run cannot be shown: ${error.message}`);
  }
});

/** Another run may have the usual port. */
function freeOf<T>(on: (port: number) => T): T {
  try {
    return on(WATCH_PORT);
  } catch (error) {
    if (error instanceof UserError) return on(0);
    throw error;
  }
}
