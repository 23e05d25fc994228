import { join } from "node:path";
import { makeFolder } from "../../../data/files/make-folder.ts";
import { WholeFile } from "../../../data/files/whole-file.ts";
import { formatJson } from "../../../data/text/json.ts";
import { MANIFEST_FILE, PIECES_FOLDER, sha256, type SitePiece } from "../../web/site-manifest.ts";
import type { SiteContents } from "../../web/site-manifest.ts";
import { bundle } from "./bundle.ts";

/** The most bytes of a piece: browsers keep such pieces, and a broken download loses little. */
const PIECE_BYTES = 1 << 22;

/** Writes the files of a site into a folder that is there. */
export class SiteWriter {
  readonly #pages: string[] = [];

  /** Begins a site in a folder. */
  constructor(private readonly folder: string) {}

  /** Writes a file of the site that is opened without a network too: a page, or what one refers to. */
  async page(path: string, text: string): Promise<void> {
    await WholeFile.write(join(this.folder, path), text);
    this.#pages.push(path);
  }

  /** Bundles a page's script. @throws UserError if the bundler cannot be had */
  async script(path: string, entry: URL): Promise<void> {
    await this.page(path, await bundle(entry));
  }

  /** Writes a file in pieces, which the manifest is to name. */
  async pieces(
    name: string,
    content: string | AsyncIterable<Uint8Array>,
  ): Promise<SitePiece[]> {
    await makeFolder(join(this.folder, PIECES_FOLDER));
    const chunks = typeof content === "string" ? [new TextEncoder().encode(content)] : content;
    const written: SitePiece[] = [];
    for await (const bytes of cut(chunks, PIECE_BYTES)) {
      const hash = await sha256(bytes);
      const path = `${PIECES_FOLDER}${name}.${hash.slice(0, 16)}`;
      await WholeFile.write(join(this.folder, path), bytes);
      written.push({ path, bytes: bytes.length, sha256: hash });
    }
    return written;
  }

  /** Writes the site's manifest, and the service worker that opens its pages without a network. */
  async finish(files: SiteContents, tensorBytes: number): Promise<void> {
    await WholeFile.write(
      join(this.folder, "service-worker.js"),
      await bundle(new URL("../../web/service-worker.ts", import.meta.url)),
    );
    const manifest = formatJson({ files, tensorBytes, pages: this.#pages });
    await WholeFile.write(join(this.folder, MANIFEST_FILE), manifest);
  }
}

/** Bytes in pieces of one size, but for the last. */
async function* cut(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length;) {
      const part = chunk.subarray(start, start + size - filled);
      piece.set(part, filled);
      [start, filled] = [start + part.length, filled + part.length];
      if (filled < size) continue;
      yield piece;
      [piece, filled] = [new Uint8Array(size), 0];
    }
  }
  if (filled > 0) yield piece.slice(0, filled);
}
