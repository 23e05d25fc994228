import { messageOf } from "../../data/text/error-message.ts";
import { decodeUtf8, readFileBytes } from "../../data/files/text-file.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { openArchive } from "./archive.ts";

/** The files of a benchmark as downloaded: of a folder, or of the zip or tar archive it came in. */
export interface BenchmarkFiles {
  /** The path of the folder or archive, for messages. */
  where: string;
  /** Paths of all tables and mappings in it, with `/` between names. */
  paths: string[];
  /** The text of one of the paths. @throws {UserError} when it is damaged or not UTF-8 */
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
  return await (info.isDirectory ? openFolder(where) : openPacked(where));
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

async function openPacked(where: string): Promise<BenchmarkFiles> {
  const bytes = await readFileBytes(where);
  const archive = await openArchive(bytes).catch((error) => {
    throw new UserError(
      `${where}: not a readable zip or tar archive (${messageOf(error)}); download it again, or ` +
        `unpack it and give the folder`,
    );
  });
  return {
    where,
    paths: [...archive.keys()].filter(isWanted).sort(),
    read: async (path) => {
      const content = await archive.get(path)!().catch((error) => {
        throw new UserError(
          `${where}: ${path} cannot be unpacked (${messageOf(error)}); download the archive again`,
        );
      });
      return decodeUtf8(content, `${where}: ${path}`);
    },
  };
}

function isWanted(path: string): boolean {
  return path.endsWith(".csv") || path.endsWith(".json");
}
