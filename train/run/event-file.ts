import { join } from "node:path";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";
import { joined } from "../../data/files/joined.ts";
import { makeFolder } from "../../data/files/make-folder.ts";
import type { StepMetrics } from "../../model/host/step-metrics.ts";

/*
 * TensorBoard's event files: TFRecords (length, its checksum, data, its checksum) of protocol buffers
 * `tensorflow.Event`, of which these fields are written:
 *
 *     Event       wall_time = 1 (double), step = 2 (int64), file_version = 3 (string),
 *                 summary = 5 (Summary), session_log = 7 (SessionLog)
 *     Summary     value = 1 (Value, repeated)
 *     Value       tag = 1 (string), simple_value = 2 (float)
 *     SessionLog  status = 1 (START = 1)
 */

/** The folder of a run that TensorBoard reads. */
const EVENT_FOLDER = "tensorboard";

/** What a step measures, for TensorBoard: one file for each start of the run. */
export class EventFile implements Disposable {
  readonly #file: AppendOnlyFile;

  private constructor(path: string, done: number) {
    this.#file = new AppendOnlyFile(path);
    this.#write(text(3, "brain.Event:2"));
    // Tells TensorBoard to forget steps that an earlier start did and that are now done again.
    this.#write(integer(2, done + 1), message(7, integer(1, 1)));
  }

  /** Begins a file of a run that continues after `done` steps. @throws UserError if it cannot */
  static async open(run: string, done: number): Promise<EventFile> {
    const folder = join(run, EVENT_FOLDER);
    await makeFolder(folder);
    return new EventFile(join(folder, `events.out.tfevents.${Date.now()}.${done}`), done);
  }

  /** Adds a step. @throws UserError when the disk is full */
  append({ step, ...values }: StepMetrics): void {
    const summary = Object.entries(values).map(([name, value]) =>
      message(1, text(1, name), float(2, value))
    );
    this.#write(integer(2, step), message(5, ...summary));
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #write(...fields: Uint8Array<ArrayBuffer>[]): void {
    const event = joined([double(1, Date.now() / 1000), ...fields]);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(event.length), true);
    this.#file.append(joined([length, maskedCrc(length), event, maskedCrc(event)]));
  }
}

/** The wire types of protocol buffers. */
const VARINT = 0, FIXED_64 = 1, BYTES = 2, FIXED_32 = 5;

function integer(field: number, value: number): Uint8Array<ArrayBuffer> {
  return joined([varint(field * 8 + VARINT), varint(value)]);
}

function double(field: number, value: number): Uint8Array<ArrayBuffer> {
  return joined([varint(field * 8 + FIXED_64), new Uint8Array(Float64Array.of(value).buffer)]);
}

function float(field: number, value: number): Uint8Array<ArrayBuffer> {
  return joined([varint(field * 8 + FIXED_32), new Uint8Array(Float32Array.of(value).buffer)]);
}

function text(field: number, value: string): Uint8Array<ArrayBuffer> {
  return message(field, new TextEncoder().encode(value));
}

function message(field: number, ...parts: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const content = joined(parts);
  return joined([varint(field * 8 + BYTES), varint(content.length), content]);
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80);
  return Uint8Array.of(...bytes, value);
}

/** CRC-32C (Castagnoli), rotated and shifted as TFRecords have it, since they may hold checksums. */
function maskedCrc(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CASTAGNOLI[(crc ^ byte) & 0xff] ^ crc >>> 8;
  crc = ~crc >>> 0;
  const masked = (crc >>> 15 | crc << 17) + 0xa282ead8 >>> 0;
  return new Uint8Array(Uint32Array.of(masked).buffer);
}

const CASTAGNOLI = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? byte >>> 1 ^ 0x82f63b78 : byte >>> 1;
  return byte;
});
