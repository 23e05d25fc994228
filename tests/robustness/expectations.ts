/**
 * What is promised and when: an expectation that is not met yet is pending. Its failures are listed
 * and are never counted as passes; whoever meets it writes `true` here, and from then on each failure
 * is a finding.
 */
export const EXPECTATIONS = {
  // Damaged files.
  "damaged files are refused in words, never by a stack trace": true,
  "refusals are short and name the file": true,
  "a small file takes little time": true,
  "a small file takes little memory": true,
  "nothing is written outside of the output": true,
  "names inside a folder do not lead out of it": true,
  "weights that are not finite are refused": true,
  "pages escape what stands in files": true,

  // Content that does not fit its checksum is refused, or comes out as it was.
  "CRC-32 of gzip": true,
  "content checksum of zstd": true,
  "CRC-32 of zip": true,
  "checksum of tar's headers": true,
  "CRC of Parquet's pages": true,
  "MD5 of shards": true,
  "SHA-256 of cached tokens": true,
  "checksums of a checkpoint": true,
  "checksums of what prepare finished": true,

  // Processes.
  "a command that was killed ends the same when it is given again": true,
  "SIGINT saves, with status 130": true,
  "SIGTERM and SIGHUP save, with status 143 and 129": true,
  "a run whose parent was killed saves and ends": true,
  "of two processes in one folder one is refused, or both are right": true,
  "a full disk is told, and the command goes on when there is room": true,
  "memory does not grow": true,
};

export type Expectation = keyof typeof EXPECTATIONS;

/** Seconds of the processor that a small file may take, which other processes do not lengthen. */
export const MOST_SECONDS = 20;

/** Bytes by which memory may grow while a small file is read. */
export const MOST_BYTES = 1e9;
