/**
 * What is promised and when: an expectation that is not met yet is pending. Its failures are listed
 * and are never counted as passes; whoever meets it writes `true` here, and from then on each failure
 * is a finding.
 */
export const EXPECTATIONS = {
  // Checksums: content that does not fit its checksum is refused, or comes out as it was.
  "CRC-32 of gzip": true,
  "content checksum of zstd": false,
  "CRC-32 of zip": false,
  "checksum of tar's headers": false,
  "CRC of Parquet's pages": false,
  "MD5 of shards": true,
  "SHA-256 of cached tokens": true,
  "checksums of a checkpoint": false,
  "checksums of what prepare finished": false,
  // Files of others.
  "weights that are not finite are refused": false,
  "names inside a folder do not lead out of it": false,
  // Processes.
  "SIGTERM and SIGHUP save, with status 143 and 129": false,
  "a run whose parent was killed saves and ends": false,
  "of two processes in one folder one is refused, or both are right": false,
};

export type Expectation = keyof typeof EXPECTATIONS;

/** What has failed an expectation is a finding, or pending until it is met. */
export function failed(expectation: Expectation): "finding" | "pending" {
  return EXPECTATIONS[expectation] ? "finding" : "pending";
}
