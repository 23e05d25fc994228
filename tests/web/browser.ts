/** Chromium with WebGPU on the CPU, driven by puppeteer. */
import { assert, assertEquals } from "@std/assert";
import { ensureProgram } from "../ensure-program.ts";

const PUPPETEER = "npm:puppeteer-core@25.16.0";
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--remote-debugging-port=0",
  // What Chromium itself asks of the network is none of a page's.
  "--disable-background-networking",
  "--disable-component-update",
  "--no-first-run",
];

/** What is used of puppeteer's page. */
export interface BrowserPage {
  goto(address: string): Promise<unknown>;
  reload(): Promise<unknown>;
  bringToFront(): Promise<void>;
  close(): Promise<void>;
  evaluate<T>(code: string | (() => T | Promise<T>)): Promise<T>;
  evaluateOnNewDocument(code: () => void): Promise<unknown>;
  waitForFunction(code: string, options: typeof PATIENCE): Promise<unknown>;
  $eval<T>(selector: string, read: (element: Element) => T): Promise<T>;
  click(selector: string): Promise<void>;
  type(selector: string, text: string): Promise<void>;
  keyboard: { press(key: string): Promise<void> };
  setViewport(size: { width: number; height: number }): Promise<void>;
  createCDPSession(): Promise<{ send(method: string, values: unknown): Promise<unknown> }>;
  // deno-lint-ignore no-explicit-any -- each event has its own kind
  on(event: string, listener: (value: any) => void): void;
}

/** What is used of puppeteer's browser. */
interface Browser {
  newPage(): Promise<BrowserPage>;
  disconnect(): Promise<void>;
}

/** How long a page may take on a busy machine; pages that are hidden draw no frames to wait for. */
export const PATIENCE = { timeout: 120_000, polling: 100 };

/** A running Chromium, with a profile of its own in a folder. */
export class Chromium implements AsyncDisposable {
  private constructor(
    private readonly child: Deno.ChildProcess,
    private readonly browser: Browser,
    private readonly profile: string,
  ) {}

  /** Starts it; on a bare Debian it is installed first. */
  static async start(profile: string): Promise<Chromium> {
    await ensureChromium();
    const child = new Deno.Command("chromium", {
      args: [...FLAGS, `--user-data-dir=${profile}`, "about:blank"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const { connect } = await import(PUPPETEER);
    const browserWSEndpoint = await endpoint(profile);
    const browser = await connect({ browserWSEndpoint, defaultViewport: null });
    return new Chromium(child, browser, profile);
  }

  /** Opens a page that notes down what goes wrong in it. */
  async open(): Promise<WatchedPage> {
    return new WatchedPage(await this.browser.newPage());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.disconnect();
    this.child.kill("SIGTERM");
    await this.child.status;
    await removeOnceLeft(this.profile);
  }
}

/** Removes a profile. Chromium's other processes write into it for a moment after the first has ended. */
async function removeOnceLeft(profile: string): Promise<void> {
  for (let tries = 100;; tries--) {
    try {
      return await Deno.remove(profile, { recursive: true });
    } catch (error) {
      if (tries === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A page with what it asked for and what it complained about. */
export class WatchedPage {
  readonly requests: string[] = [];
  readonly complaints: string[] = [];

  constructor(readonly page: BrowserPage) {
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (["error", "warn"].includes(message.type())) this.complaints.push(message.text());
    });
  }

  /** Fails if the page complained, or asked for anything beyond its own site. */
  assertClean(origin: string): void {
    assertEquals(this.complaints, []);
    const beyond = this.requests.filter((address) =>
      !address.startsWith(origin) && !/^(data:|blob:|about:)/.test(address)
    );
    assertEquals(beyond, []);
    assert(this.requests.length > 0);
  }
}

/** Serves a folder as static hosts do, of which many lead `trainer.html` to `trainer`. */
export class StaticHost implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(folder: string, port = 0) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, async ({ url }) => {
      const { pathname } = new URL(url);
      if (pathname.endsWith(".html")) return Response.redirect(url.replace(/\.html$/, ""));
      const name = decodeURIComponent(pathname).replace(/\/$/, "/index");
      const path = name.split("/").at(-1)!.includes(".") ? name : `${name}.html`;
      const body = await Deno.readFile(folder + path).catch(() => undefined);
      if (!body) return new Response("not found", { status: 404 });
      return new Response(body, {
        headers: { "content-type": TYPES[path.split(".").at(-1)!] ?? BYTES },
      });
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const BYTES = "application/octet-stream";
const TYPES: Record<string, string> = {
  html: "text/html",
  js: "text/javascript",
  json: "application/json",
};

/** Installs Chromium on Debian where it is missing; without it the tests fail. */
export function ensureChromium(): Promise<void> {
  return ensureProgram("chromium", "chromium");
}

/** The address that Chromium writes into its profile once it can be driven. */
async function endpoint(profile: string): Promise<string> {
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    const text = await Deno.readTextFile(`${profile}/DevToolsActivePort`).catch(() => "");
    const [port, path] = text.split("\n");
    if (path) return `ws://127.0.0.1:${port}${path}`;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("Chromium did not start");
}
