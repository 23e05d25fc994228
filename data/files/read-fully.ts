/** Reads until `bytes` is full or the file ends. @returns the number of bytes that were read */
export function readFully(file: Deno.FsFile, bytes: Uint8Array): number {
  let length = 0;
  while (length < bytes.length) {
    const read = file.readSync(bytes.subarray(length));
    if (read === null) break;
    length += read;
  }
  return length;
}
