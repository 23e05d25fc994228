import { configure, type FileEntry, Uint8ArrayReader, ZipReader } from "@zip.js/zip.js";
import { parseTar } from "nanotar";
import { isImplausible, MOST_RATIO } from "../../data/readers/files/bytes.ts";

/** The files of an archive by their paths, each unpacked when it is asked for. */
export type ArchiveFiles = Map<string, () => Promise<Uint8Array>>;

/**
 * The files of a zip or tar archive.
 *
 * @throws Error for what is no such archive, or a damaged one; reading a file, also for content that
 *   its checksum does not fit, and for implausibly much of it
 */
export async function openArchive(bytes: Uint8Array): Promise<ArchiveFiles> {
  return isTar(bytes) ? untar(bytes) : await unzip(bytes);
}

configure({ useWebWorkers: false });

async function unzip(bytes: Uint8Array): Promise<ArchiveFiles> {
  const reader = new ZipReader(new Uint8ArrayReader(bytes));
  const files: ArchiveFiles = new Map();
  for (const entry of await reader.getEntries()) {
    if (!entry.directory) addFile(files, entry.filename, () => inflate(entry));
  }
  return files;
}

async function inflate(entry: FileEntry): Promise<Uint8Array> {
  const { uncompressedSize, compressedSize } = entry;
  if (isImplausible(uncompressedSize, compressedSize)) {
    throw new Error(`it unpacks to more than ${MOST_RATIO} times its size`);
  }
  const content = new Uint8Array(uncompressedSize);
  let length = 0;
  const filled = new WritableStream<Uint8Array>({
    write(chunk) {
      content.set(chunk, length); // throws a RangeError if there is more than was said
      length += chunk.length;
    },
  });
  await entry.getData(filled, { checkSignature: true, checkOverlappingEntry: true });
  if (length < uncompressedSize) throw new Error("it is shorter than the archive says");
  return content;
}

const TAR_BLOCK = 512;

/** Whether bytes are a POSIX archive: the header of its first entry says so. */
function isTar(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes.subarray(257, 262)) === "ustar";
}

function untar(bytes: Uint8Array): ArchiveFiles {
  checkTarHeaders(bytes);
  const files: ArchiveFiles = new Map();
  for (const { name, data, type } of parseTar(bytes)) {
    if (type !== "directory") {
      addFile(files, name, () => Promise.resolve(data ?? new Uint8Array(0)));
    }
  }
  return files;
}

/**
 * Compares the headers of a tar archive with their checksums, up to its end.
 *
 * @throws Error for a header that does not fit, and for an archive that is cut short or goes on after
 *   its end
 */
function checkTarHeaders(bytes: Uint8Array): void {
  let start = 0;
  for (; start < bytes.length; start += TAR_BLOCK) {
    const header = bytes.subarray(start, start + TAR_BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const octal = (from: number, to: number) =>
      parseInt(new TextDecoder("latin1").decode(header.subarray(from, to)), 8);
    // The checksum's own bytes count as spaces.
    const sum = header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0);
    if (sum !== octal(148, 156)) throw new Error(`the header at byte ${start} is damaged`);
    start += TAR_BLOCK * Math.ceil(octal(124, 136) / TAR_BLOCK);
  }
  if (start > bytes.length) throw new Error("it is cut short");
  if (bytes.subarray(start).some((byte) => byte !== 0)) {
    throw new Error(`it goes on after its end at byte ${start}`);
  }
}

function addFile(files: ArchiveFiles, path: string, read: () => Promise<Uint8Array>): void {
  if (files.has(path)) throw new Error(`it has two files ${path}`);
  files.set(path, read);
}
