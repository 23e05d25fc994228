import { createHash } from "node:crypto";
import { isAbsolute, normalize } from "node:path";
import { didYouMean } from "../../kernels/runtime/did-you-mean.ts";
import { shown } from "../text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readError } from "../files/file-errors.ts";
import { isRecord } from "../files/is-record.ts";
import { parseJson } from "../text/json.ts";
import { fileTextSync } from "../files/text-file.ts";
import { declaredFormat, HUB_KEYS, type SetEntry } from "./declared-format.ts";
import type { SetFormat } from "./set-format.ts";

/** A set of instructions in local files. */
export interface InstructionSet {
  /** The name by which it was asked for. */
  name: string;
  /** The path of its file, or of a folder of files. */
  path: string;
  /** The format of its records; if undefined, the first record shows it. */
  format?: SetFormat;
  /** Whether the entry says so itself, so that nothing in a record may tell otherwise. */
  isDeclared?: boolean;
  /** How many of its examples to draw, at random; all if undefined. */
  samples?: number;
}

const REGISTRY = "dataset_info.json";

/**
 * Finds sets by the names that LLaMA-Factory's `dataset_info.json` gives them, or by the path of a
 * `.json`, `.jsonl`, `.csv` or `.parquet` file.
 *
 * @param folders the registry is in the first that has one; the files may be in any of them
 * @throws UserError naming the set, if the registry does not have it, its file does not exist or is
 *   another than is meant, or its entry asks for what is not honoured here
 */
export function findSets(names: readonly string[], folders: readonly string[]): InstructionSet[] {
  const registry = readRegistry(folders);
  return names.map((name) => {
    const entry = registry.entries.get(name);
    if (entry !== undefined) return localSet(name, entry, folders);
    if (/\.(jsonl?|csv|parquet)(\.gz|\.zst)?$/i.test(name)) {
      return { name, path: pathIn(["."], name) ?? notThere(name, `the file ${name}`, ["."]) };
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

/** The path of a named file or folder in one of the folders, or undefined. */
function pathIn(folders: readonly string[], name: string): string | undefined {
  return folders.map((folder) => folder === "." || isAbsolute(name) ? name : `${folder}/${name}`)
    .find(isThere);
}

function localSet(name: string, entry: SetEntry, folders: readonly string[]): InstructionSet {
  const where = `the set "${name}" of ${REGISTRY}`;
  const { file_name: file, file_sha1: sha1, num_samples: samples } = entry;
  if (typeof file !== "string" || file === "") {
    const hub = HUB_KEYS.map((key) => entry[key]).find((url) => typeof url === "string");
    throw new UserError(
      `the set "${name}" has no "file_name" in ${REGISTRY}: download its file` +
        `${hub === undefined ? "" : ` (${hub})`} and give it there`,
    );
  }
  const format = declaredFormat(entry, where);
  if (!isAbsolute(file) && normalize(file).startsWith("..")) {
    throw new UserError(
      `${where}: its "file_name" ${shown(file)} leads out of the folder: give the whole ` +
        `path, from the root on`,
    );
  }
  const path = pathIn(folders, file) ?? notThere(name, file, folders);
  if (sha1 !== undefined && sha1 !== null) checkSha1(path, sha1, where);
  if (samples !== undefined && samples !== null && !isCount(samples)) {
    throw new UserError(`${where}: "num_samples" must be a whole number of at least 1`);
  }
  return {
    name,
    path,
    format,
    isDeclared: ["columns", "formatting", "ranking", "tags"].some((key) => key in entry),
    ...(isCount(samples) && { samples }),
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

/** @throws UserError if the file is not the one of which the entry gives the SHA-1 */
function checkSha1(path: string, sha1: unknown, where: string): void {
  const hash = createHash("sha1");
  try {
    using file = Deno.openSync(path);
    const buffer = new Uint8Array(1 << 20);
    for (let read = file.readSync(buffer); read !== null; read = file.readSync(buffer)) {
      hash.update(buffer.subarray(0, read));
    }
  } catch (error) {
    throw readError(error, path);
  }
  if (hash.digest("hex") === sha1) return;
  throw new UserError(
    `${where}: ${path} is not the file whose "file_sha1" is given: fetch it again, or take that ` +
      `key out if it was changed on purpose`,
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
): { path: string; entries: Map<string, SetEntry> } {
  const path = pathIn(folders, REGISTRY);
  if (path === undefined) return { path: REGISTRY, entries: new Map() };
  const registry = parseJson(fileTextSync(path), path);
  const entries = isRecord(registry) ? Object.entries(registry) : undefined;
  const isEntry = (entry: [string, unknown]): entry is [string, SetEntry] => isRecord(entry[1]);
  if (entries?.every(isEntry)) return { path, entries: new Map(entries) };
  throw new UserError(`${path}: expected an object of sets, each an object, as {"file_name": …}`);
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
