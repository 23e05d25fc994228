import { didYouMean } from "../../kernels/runtime/did-you-mean.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { isRecord } from "../files/is-record.ts";
import { parseJson } from "../text/json.ts";
import { fileTextSync } from "../files/text-file.ts";
import { declaredFormat, type SetFormat } from "./set-format.ts";

/** A set of instructions in a local file. */
export interface InstructionSet {
  /** The name by which it was asked for. */
  name: string;
  /** The path of its file. */
  path: string;
  /** The format of its records; if undefined, the first record shows it. */
  format?: SetFormat;
}

const REGISTRY = "dataset_info.json";

/**
 * Finds sets by the names that LLaMA-Factory's `dataset_info.json` gives them, or by the path of a
 * `.json`, `.jsonl`, `.csv` or `.parquet` file.
 *
 * @param folders the registry is in the first that has one; the files may be in any of them
 * @throws UserError naming the set, if the registry does not have it or its file does not exist
 */
export function findSets(names: readonly string[], folders: readonly string[]): InstructionSet[] {
  const registry = readRegistry(folders);
  return names.map((name) => {
    const entry = registry.entries.get(name);
    if (entry !== undefined) return localSet(name, entry, folders);
    if (/\.(jsonl?|csv|parquet)(\.gz|\.zst)?$/.test(name)) {
      return { name, path: fileIn(["."], name) ?? notThere(name, `the file ${name}`, ["."]) };
    }
    const known = [...registry.entries.keys()];
    throw new UserError(
      known.length === 0
        ? `the set "${name}" is unknown: there is no ${REGISTRY} in ${folders.join(", ")}; name ` +
          `its folder as data.dir, or give the path of a .json or .jsonl file`
        : `${registry.path} does not know the set "${name}"${didYouMean(name, known)}`,
    );
  });
}

/** The path of a named file in one of the folders, or undefined. */
function fileIn(folders: readonly string[], name: string): string | undefined {
  return folders.map((folder) => folder === "." ? name : `${folder}/${name}`).find(isFile);
}

type Entry = Record<string, unknown>;

function localSet(name: string, entry: Entry, folders: readonly string[]): InstructionSet {
  const hub = entry.hf_hub_url ?? entry.ms_hub_url ?? entry.om_hub_url ?? entry.script_url;
  const file = entry.file_name;
  const path = typeof file === "string" ? fileIn(folders, file) : undefined;
  if (path !== undefined) {
    const { formatting = "alpaca" } = entry;
    if (formatting === "alpaca" || formatting === "sharegpt") {
      return { name, path, format: declaredFormat(entry) };
    }
    throw new UserError(
      `the set "${name}": its "formatting" in ${REGISTRY} is ${JSON.stringify(formatting)}; ` +
        `expected "alpaca" or "sharegpt"`,
    );
  }
  if (typeof file === "string") return notThere(name, file, folders);
  throw new UserError(
    `the set "${name}" has no "file_name" in ${REGISTRY}: download its file` +
      `${hub === undefined ? "" : ` (${hub})`} and give it there`,
  );
}

function notThere(name: string, file: string, folders: readonly string[]): never {
  throw new UserError(
    `the set "${name}": ${file} is not in ${
      folders.join(", ")
    }; put it there, or name its folder ` +
      `as data.dir`,
  );
}

function readRegistry(
  folders: readonly string[],
): { path: string; entries: Map<string, Entry> } {
  const path = fileIn(folders, REGISTRY);
  if (path === undefined) return { path: REGISTRY, entries: new Map() };
  const registry = parseJson(fileTextSync(path), path);
  const entries = isRecord(registry) ? Object.entries(registry) : undefined;
  const isEntry = (entry: [string, unknown]): entry is [string, Entry] => isRecord(entry[1]);
  if (entries?.every(isEntry)) return { path, entries: new Map(entries) };
  throw new UserError(`${path}: expected an object of sets, each an object, as {"file_name": …}`);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
