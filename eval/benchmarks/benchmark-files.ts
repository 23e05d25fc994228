import { unzipSync } from "fflate";
import { parseTar } from "nanotar";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { decodeUtf8, readFileBytes } from "../../data/files/text-file.ts";

/** The files of a benchmark as downloaded: of a folder, or of the zip or tar archive it came in. */
export interface BenchmarkFiles {
  /** The path of the folder or archive, for messages. */
  where: string;
  /** Paths of all tables and mappings in it, with `/` between names. */
  paths: string[];
  /** The text of one of the paths. @throws {UserError} when it is not UTF-8 */
  read(path: string): Promise<string>;
}

/** Folders are read to this depth: enough for an archive unpacked into a folder of its own name. */
const MAX_DEPTH = 4;

/**
 * Opens a folder or a zip or tar archive.
 *
 * @throws {UserError} when there is none, or the archive cannot be unpacked
 */
export async function openBenchmarkFiles(where: string): Promise<BenchmarkFiles> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(where);
  } catch {
    throw new UserError(
      `${where}: there is no such folder or archive; name the benchmark's with --data, or fetch it with ` +
        `--download`,
    );
  }
  return info.isDirectory
    ? await openFolder(where)
    : openArchive(where, await readFileBytes(where));
}

/** The path inside that ends with `suffix`, the shortest where several do. */
export function findPath(files: BenchmarkFiles, suffix: string): string | undefined {
  return files.paths
    .filter((path) => path === suffix || path.endsWith(`/${suffix}`))
    .sort((a, b) => a.length - b.length)[0];
}

async function openFolder(where: string): Promise<BenchmarkFiles> {
  return {
    where,
    paths: (await listFolder(where, "", MAX_DEPTH)).sort(),
    read: async (path) => decodeUtf8(await readFileBytes(`${where}/${path}`), `${where}/${path}`),
  };
}

async function listFolder(root: string, prefix: string, depth: number): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(`${root}/${prefix}`)) {
    const path = prefix + entry.name;
    if (entry.isDirectory) {
      if (depth > 1) paths.push(...await listFolder(root, `${path}/`, depth - 1));
    } else if (isWanted(path)) paths.push(path);
  }
  return paths;
}

function openArchive(where: string, bytes: Uint8Array): BenchmarkFiles {
  let entries: Record<string, Uint8Array>;
  try {
    entries = isTar(bytes)
      ? untar(bytes)
      : unzipSync(bytes, { filter: ({ name }) => isWanted(name) });
  } catch (error) {
    throw new UserError(
      `${where}: not a readable zip or tar archive (${(error as Error).message}); download it ` +
        `again, or unpack it and give the folder`,
    );
  }
  return {
    where,
    paths: Object.keys(entries).sort(),
    read: (path) => Promise.resolve(decodeUtf8(entries[path], `${where}: ${path}`)),
  };
}

/** Whether bytes are a POSIX archive: the header of its first entry says so. */
function isTar(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(257, 262)) === "ustar";
}

function untar(bytes: Uint8Array): Record<string, Uint8Array> {
  const wanted = parseTar(bytes).filter(({ name, data }) => isWanted(name) && data !== undefined);
  return Object.fromEntries(wanted.map(({ name, data }) => [name, data!]));
}

function isWanted(path: string): boolean {
  return path.endsWith(".csv") || path.endsWith(".json");
}
