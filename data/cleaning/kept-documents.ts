import type { CleanedFile } from "./clean-file.ts";
import { ENTRY } from "./clean-documents.ts";
import type { Fingerprints } from "./near-duplicates.ts";
import { readFully } from "../files/read-fully.ts";
import type { WholeFile } from "../files/whole-file.ts";
import type { WorkFolder } from "../files/work-folder.ts";

/** Bytes that are read or copied at a time, a whole number of entries. */
const CHUNK = ENTRY.length * 4 * 50_000;

/** The entries of a cleaned file's documents, a chunk at a time. */
function* entriesOf({ name }: CleanedFile, work: WorkFolder): Generator<Uint32Array> {
  const file = Deno.openSync(work.file(`${name}.entries`));
  try {
    const bytes = new Uint8Array(CHUNK);
    for (let length = readFully(file, bytes); length > 0; length = readFully(file, bytes)) {
      yield new Uint32Array(bytes.buffer, 0, length / 4);
    }
  } finally {
    file.close();
  }
}

/** The fingerprints of all files' documents, one file after another. */
export function fingerprintsOf(files: CleanedFile[], work: WorkFolder): Fingerprints {
  return {
    length: files.reduce((documents, file) => documents + file.documents, 0),
    *chunks() {
      for (const file of files) {
        for (const entries of entriesOf(file, work)) yield hashesOf(entries);
      }
    },
  };
}

function hashesOf(entries: Uint32Array): Uint32Array {
  const hashes = new Uint32Array(2 * entries.length / ENTRY.length);
  for (let i = 0, entry = 0; entry < entries.length; i += 2, entry += ENTRY.length) {
    hashes[i] = entries[entry + ENTRY.low];
    hashes[i + 1] = entries[entry + ENTRY.high];
  }
  return hashes;
}

/**
 * Appends the lines of the documents of a file that stay.
 *
 * @param kept 1 for each document that stays, 0 for each that does not
 * @param visit called with each entry and whether it stays
 */
export async function appendKept(
  output: WholeFile,
  file: CleanedFile,
  work: WorkFolder,
  kept: Uint8Array,
  visit: (entry: Uint32Array, stays: boolean) => void,
): Promise<void> {
  using lines = await Deno.open(work.file(`${file.name}.jsonl`));
  let document = 0;
  for (const entries of entriesOf(file, work)) {
    let run = 0;
    for (let at = 0; at < entries.length; at += ENTRY.length) {
      const entry = entries.subarray(at, at + ENTRY.length);
      run += entry[ENTRY.bytes];
      const stays = kept[document++];
      visit(entry, stays === 1);
      const ends = at + ENTRY.length === entries.length || kept[document] !== stays;
      if (!ends) continue;
      if (stays) await copy(lines, output, run);
      else await lines.seek(run, Deno.SeekMode.Current);
      run = 0;
    }
  }
}

async function copy(from: Deno.FsFile, to: WholeFile, bytes: number): Promise<void> {
  const buffer = new Uint8Array(Math.min(bytes, CHUNK));
  for (let left = bytes; left > 0;) {
    const read = await from.read(buffer.subarray(0, Math.min(left, buffer.length)));
    if (read === null) throw new Error("a work file is shorter than its entries say");
    await to.append(buffer.subarray(0, read));
    left -= read;
  }
}
