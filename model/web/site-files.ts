/// <reference lib="dom" />
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { CheckpointFiles } from "../checkpoint/checkpoint-files.ts";
import { sha256, type SiteContents, type SitePiece } from "./site-manifest.ts";
import { PageError } from "./page-error.ts";

/** Pieces that are fetched at the same time. */
const AT_ONCE = 4;

/** How far a download is: called with bytes. */
export type OnBytes = (done: number, total: number) => void;

/**
 * Files of a site, read by a browser. Their pieces are kept in the browser's cache, so that they are
 * fetched once; a piece that changed has another path.
 */
export class SiteFiles implements CheckpointFiles {
  readonly dir: string;
  /** Pieces for which the browser's cache has no room. */
  readonly #uncached = new Map<string, Uint8Array<ArrayBuffer>>();
  /** The piece that was read last: small tensors lie in one piece side by side. */
  #last?: { piece: SitePiece; bytes: Uint8Array<ArrayBuffer> };

  private constructor(
    private readonly base: URL,
    private readonly contents: SiteContents,
    private readonly cache: Cache,
  ) {
    this.dir = base.href;
  }

  /**
   * Opens the files of a site.
   *
   * @param base the site's address, ending in a slash
   * @param cacheName of the browser's cache that keeps their pieces, and nothing else
   */
  static async open(base: URL, contents: SiteContents, cacheName: string): Promise<SiteFiles> {
    return new SiteFiles(base, contents, await caches.open(cacheName));
  }

  /** Bytes of all files. */
  get totalBytes(): number {
    return this.#pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes that are not in the browser's cache. */
  async missingBytes(): Promise<number> {
    return (await this.#missing()).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Fetches what is not in the cache, and removes from it what earlier versions of the site had.
   *
   * @throws PageError if a piece cannot be fetched or arrives damaged
   */
  async download(onBytes: OnBytes): Promise<void> {
    const known = new Set(this.#pieces.map((piece) => this.#address(piece)));
    for (const { url } of await this.cache.keys()) {
      if (!known.has(url)) await this.cache.delete(url);
    }
    const waiting = await this.#missing();
    const total = this.totalBytes;
    let done = total - waiting.reduce((sum, { bytes }) => sum + bytes, 0);
    onBytes(done, total);
    const fetchWaiting = async () => {
      for (let piece = waiting.shift(); piece; piece = waiting.shift()) {
        await this.#fetch(piece);
        onBytes(done += piece.bytes, total);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, fetchWaiting));
  }

  async text(name: string): Promise<string | undefined> {
    const size = await this.size(name);
    if (size === undefined) return undefined;
    return new TextDecoder().decode(await this.bytes(name, 0, size));
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(
      this.#piecesOf(name)?.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  }

  async bytes(name: string, first: number, count: number): Promise<ArrayBuffer> {
    const pieces = this.#piecesOf(name);
    if (!pieces) throw new UserError(`${this.dir}${name}: there is no such file`);
    const end = Math.min(first + count, (await this.size(name))!);
    const range = new Uint8Array(Math.max(0, end - first));
    let start = 0;
    for (const piece of pieces) {
      const [from, to] = [Math.max(first, start), Math.min(end, start + piece.bytes)];
      if (from < to) {
        const bytes = await this.#read(piece);
        range.set(bytes.subarray(from - start, to - start), from - first);
      }
      start += piece.bytes;
    }
    return range.buffer;
  }

  get #pieces(): SitePiece[] {
    return Object.values(this.contents).flat();
  }

  #piecesOf(name: string): readonly SitePiece[] | undefined {
    return Object.hasOwn(this.contents, name) ? this.contents[name] : undefined;
  }

  async #missing(): Promise<SitePiece[]> {
    const kept = new Set((await this.cache.keys()).map(({ url }) => url));
    return this.#pieces.filter((piece) => !kept.has(this.#address(piece)));
  }

  #address({ path }: SitePiece): string {
    return new URL(path, this.base).href;
  }

  async #read(piece: SitePiece): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#last?.piece === piece) return this.#last.bytes;
    const address = this.#address(piece);
    const kept = await this.cache.match(address);
    const bytes = kept
      ? new Uint8Array(await kept.arrayBuffer())
      : this.#uncached.get(address) ?? await this.#fetch(piece);
    this.#last = { piece, bytes };
    return bytes;
  }

  async #fetch(piece: SitePiece): Promise<Uint8Array<ArrayBuffer>> {
    const address = this.#address(piece);
    const response = await fetched(piece.path, this.base);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (await sha256(bytes) !== piece.sha256) {
      throw new PageError({
        en: `${piece.path} arrived damaged, or the site is just being changed: reload the page.`,
        zh: `${piece.path} 已损坏，或网站正在更新：请刷新页面。`,
      });
    }
    // A browser that gives the site too little room still shows the model, and fetches it each time.
    await this.cache.put(address, new Response(bytes))
      .catch(() => this.#uncached.set(address, bytes));
    return bytes;
  }
}

/** A JSON file of a site. @throws PageError if it cannot be fetched */
export async function siteJson(path: string, base: URL): Promise<unknown> {
  return await (await fetched(path, base)).json();
}

async function fetched(path: string, base: URL): Promise<Response> {
  const response = await fetch(new URL(path, base)).catch(() => undefined);
  if (response?.ok) return response;
  throw new PageError({
    en: `${path} could not be fetched${response ? ` (${response.status})` : ""}: check the ` +
      `connection and reload the page. What has arrived is kept.`,
    zh: `无法下载 ${path}：请检查网络后刷新页面，已下载的部分会保留。`,
  });
}
