/** How files begin, in Latin-1, that hold other files or are compressed; and where that stands. */
const CONTAINERS: readonly { name: string; letters: string; at?: number }[] = [
  { name: "a tar archive", letters: "ustar", at: 257 },
  { name: "a zip archive", letters: "PK\x03\x04" },
  { name: "a 7-Zip archive", letters: "7z\xBC\xAF\x27\x1C" },
  { name: "a RAR archive", letters: "Rar!\x1A\x07" },
  { name: "compressed by gzip, but its name does not end in .gz", letters: "\x1F\x8B\x08" },
  { name: "compressed by zstd, but its name does not end in .zst", letters: "\x28\xB5\x2F\xFD" },
  { name: "compressed by bzip2", letters: "1AY&SY", at: 4 },
  { name: "compressed by xz", letters: "\xFD7zXZ\0" },
];

/** What a file is that begins so, in words, if it is an archive or is compressed; else undefined. */
export function containerOf(start: Uint8Array): string | undefined {
  return CONTAINERS.find(({ letters, at = 0 }) =>
    Array.from(letters).every((letter, i) => start[at + i] === letter.charCodeAt(0))
  )?.name;
}
