/** Archives that are small and unpack to more than a gigabyte. */
import { gzipSync, zipSync } from "fflate";
import { Buffer } from "node:buffer";
import { zstdCompressSync } from "node:zlib";

/** Of one part, and how many there are. */
const PART = 10_000_000;
const PARTS = 120;

/** What makes a bomb of the kind that a file's ending tells. */
export function bombOf(file: string): () => Uint8Array {
  const zeros = () => new Uint8Array(PART);
  if (file.endsWith(".gz")) return () => repeated(gzipSync(zeros()));
  if (file.endsWith(".zst")) return () => repeated(zstdCompressSync(zeros()));
  return () => overlapping(zipSync({ "val/logic_val.csv": zeros() }));
}

/** gzip and zstd read what stands behind the end as one more part. */
function repeated(part: Uint8Array): Uint8Array {
  return Buffer.concat(new Array(PARTS).fill(part));
}

/** A zip file whose directory lists its only entry many times, each time by another name. */
function overlapping(zip: Uint8Array): Uint8Array {
  const end = zip.subarray(-22);
  const [size, start] = [12, 16].map((at) =>
    new DataView(end.buffer, end.byteOffset).getUint32(at, true)
  );
  const entries = Array.from({ length: PARTS }, (_, i) => {
    const entry = zip.slice(start, start + size);
    entry.set(new TextEncoder().encode(`val/${String(i).padStart(5, "0")}`), 46);
    return entry;
  });
  const last = end.slice();
  const view = new DataView(last.buffer);
  for (const at of [8, 10]) view.setUint16(at, PARTS, true);
  view.setUint32(12, PARTS * size, true);
  return Buffer.concat([zip.subarray(0, start), ...entries, last]);
}
