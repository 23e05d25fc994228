/** What is promised; whatever breaks one of these is a finding. */
export type Expectation =
  // Damaged files.
  | "damaged files are refused in words, never by a stack trace"
  | "refusals are short and name the file"
  | "a small file takes little time"
  | "a small file takes little memory"
  | "nothing is written outside of the output"
  | "names inside a folder do not lead out of it"
  | "weights that are not finite are refused"
  | "pages escape what stands in files"
  // Content that does not fit its checksum is refused, or comes out as it was.
  | "CRC-32 of gzip"
  | "content checksum of zstd"
  | "CRC-32 of zip"
  | "checksum of tar's headers"
  | "CRC of Parquet's pages"
  | "MD5 of shards"
  | "SHA-256 of cached tokens"
  | "checksums of a checkpoint"
  | "checksums of what prepare finished"
  // Processes.
  | "a command that was killed ends the same when it is given again"
  | "SIGINT saves, with status 130"
  | "SIGTERM and SIGHUP save, with status 143 and 129"
  | "a run whose parent was killed saves and ends"
  | "of two processes in one folder one is refused, or both are right"
  | "a full disk is told, and the command goes on when there is room"
  | "memory does not grow"
  // Servers.
  | "an answer is the same whoever else asks"
  | "no request is lost, and no seat"
  | "malformed requests are refused, and the server goes on"
  | "OpenAI's client can talk to the server";

/** Seconds of the processor that a small file may take, which other processes do not lengthen. */
export const MOST_SECONDS = 20;

/** Bytes by which memory may grow while a small file is read. */
export const MOST_BYTES = 1e9;
