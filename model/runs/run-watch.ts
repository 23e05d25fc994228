import { basename, dirname, join } from "node:path";
import { toHtml } from "../../data/page/html.ts";
import { pageScript } from "../../data/page/page-script.ts";
import { type Words, words } from "../../data/page/words.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { livePage, stateOf, type WatchedRun } from "./live-page.ts";
import { MESSAGES_FILE, readMessages } from "./run-messages.ts";
import { filesBelow, METRICS_FILE, readStages } from "./stage-folder.ts";

/** What is read of a run, beside what its settings and facts name. */
const READ_FILES = [METRICS_FILE, MESSAGES_FILE, "settings.yaml", "facts.json", "samples.txt"];

/** Nothing is fetched from elsewhere. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; " +
  "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT = pageScript(new URL("./watch.js", import.meta.url));

/** By these names alone the page may be asked for: a web page could have its own name lead here. */
const HOSTS = ["127.0.0.1", "localhost"];

/**
 * Shows runs by what is in their folders, as it is now. It writes nothing and knows nothing of the
 * processes that train: runs that have ended, or are on another machine's disk, are shown alike. What
 * was seen last stays when a folder is gone.
 */
export class RunWatch {
  #runs: readonly WatchedRun[] = [];
  /** Why what was read last may be old. */
  #trouble?: Words;
  /** Of the files that were read last. */
  #stamp = "";
  #html?: { readonly version: string; readonly text: string };
  #reading: Promise<void> = Promise.resolve();

  /** Watches the runs in these folders, each of one run or of several. */
  constructor(private readonly folders: readonly string[]) {}

  /** Answers the page's requests. */
  async handle(request: Request): Promise<Response> {
    const host = request.headers.get("host")?.replace(/:\d+$/, "").toLowerCase() ?? "";
    if (!HOSTS.includes(host)) return new Response("", { status: 403 });
    if (request.method !== "GET") return new Response("", { status: 405 });
    switch (new URL(request.url).pathname) {
      case "/":
        await this.#refresh();
        return respond(this.#page(), "text/html");
      case "/version":
        await this.#refresh();
        return respond(this.#version, "text/plain");
      case "/watch.js":
        return respond(SCRIPT, "text/javascript");
      default:
        return new Response("", { status: 404 });
    }
  }

  /** Another one for each other page. */
  get #version(): string {
    const states = this.#runs.map((run) => stateOf(run, Date.now()).en);
    return [this.#stamp, this.#trouble?.en, ...states].join("\n");
  }

  #page(): string {
    const version = this.#version;
    if (this.#html?.version !== version) {
      const page = livePage(this.folders.join(", "), this.#runs, Date.now(), this.#trouble);
      this.#html = { version, text: toHtml(page, "watch.js") };
    }
    return this.#html.text;
  }

  /** One after another: several browsers may look. */
  #refresh(): Promise<void> {
    // What went wrong when another one looked may have passed.
    return this.#reading = this.#reading.catch(() => {}).then(() => this.#read());
  }

  async #read(): Promise<void> {
    try {
      const found = await Promise.all(this.folders.map((folder) => filesBelow(folder)));
      const runs = found.flat().filter((file) => basename(file) === METRICS_FILE).map(dirname);
      const stamp = await stampOf(runs);
      if (runs.length === 0) {
        throw new UserError(
          `${this.folders.join(", ")}: no run has measured anything yet (${METRICS_FILE})`,
        );
      }
      if (stamp !== this.#stamp) {
        const stages = await Promise.all(
          this.folders.map((folder, i) => readStages(found[i], folder)),
        );
        this.#runs = await Promise.all(
          stages.flat().map(async (stage): Promise<WatchedRun> => ({
            ...stage,
            messages: await readMessages(stage.folder),
            changed: (await Deno.stat(join(stage.folder, METRICS_FILE))).mtime?.getTime() ?? 0,
          })),
        );
        this.#stamp = stamp;
      }
      this.#trouble = undefined;
    } catch (error) {
      // A folder may be deleted, or be of a disk that is not there for a while.
      if (!(error instanceof UserError) && !(error instanceof Deno.errors.NotFound)) throw error;
      const { message } = error;
      this.#trouble = this.#runs.length === 0 ? words(`${message}.`, `出错了：${message}`) : words(
        `${message}. What was seen last is shown.`,
        `出错了：${message}。以下为上次读到的内容。`,
      );
    }
  }
}

/** Changes when one of the runs' files does. */
async function stampOf(runs: readonly string[]): Promise<string> {
  const stamps = await Promise.all(
    runs.flatMap((run) =>
      READ_FILES.map(async (name) => {
        const path = join(run, name);
        const info = await Deno.stat(path).catch(() => undefined);
        return info && `${path} ${info.size} ${info.mtime?.getTime()}`;
      })
    ),
  );
  return stamps.filter(Boolean).join("\n");
}

function respond(text: string, type: string): Response {
  return new Response(text, {
    headers: {
      "content-type": `${type}; charset=utf-8`,
      "content-security-policy": POLICY,
      "cache-control": "no-store",
    },
  });
}
