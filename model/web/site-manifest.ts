/** What a site holds of a model: `site.json`, written by the export and read by the page. */

/** The file of a site that says what else is there. */
export const MANIFEST_FILE = "site.json";
/** The folder of a site with the pieces of its files. */
export const PIECES_FOLDER = "files/";

/** A part of a file, small enough for any static host and any browser's cache. */
export interface SitePiece {
  /** Its path in the site; it holds a part of the hash, so that another content has another path. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of its content in hexadecimal digits. */
  readonly sha256: string;
}

/** Files by name, each as its pieces in order. */
export type SiteContents = Readonly<Record<string, readonly SitePiece[]>>;

/** What `site.json` says. */
export interface SiteManifest {
  /** The checkpoint. */
  readonly files: SiteContents;
  /** Bytes of its largest tensor in f32. */
  readonly tensorBytes: number;
  /** What a service worker keeps so that the site opens without a network: paths of its pages. */
  readonly pages: readonly string[];
}

/** SHA-256 in hexadecimal digits, on any host. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
