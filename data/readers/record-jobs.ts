import { DamagedFile, type OnRead } from "./files/bytes.ts";
import type { RecordBatch } from "./files/record-batch.ts";
import type { Problem } from "./problems.ts";
import { openFile } from "./read-file.ts";

/** Records of a file for a thread to work on. */
export interface RecordJob {
  batch: RecordBatch;
  file: string;
  /** What a record is called in its file, such as `line`. */
  unit: string;
}

/**
 * The records of a file as jobs. A damaged file ends the jobs and counts as a problem, and so does
 * an empty file.
 *
 * @throws UserError if the file cannot be read, and what `heed` throws
 */
export async function* recordJobs(
  file: string,
  heed: (problem: Problem) => void,
  onRead: OnRead,
): AsyncGenerator<RecordJob> {
  let bytes = 0;
  try {
    const { unit, batches } = await openFile(
      file,
      (number, reason) => heed({ file, place: `${unit} ${number}`, reason, kept: false }),
      (read) => {
        bytes += read;
        onRead(read);
      },
    );
    for await (const batch of batches) yield { batch, file, unit };
    if (bytes === 0) heed({ file, reason: `${file} is empty`, kept: false });
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    heed({ file, reason: error.message, kept: false });
  }
}
