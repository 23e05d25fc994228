import { UserError } from "../../runtime/user-error.ts";
import { cString, ENOENT, ENOSPC, errno, libc } from "./libc.ts";

const FOLDER = "/dev/shm";
const CREATE_NEW = 0o2 | 0o100 | 0o200; // O_RDWR | O_CREAT | O_EXCL
const OPEN = 0o2; // O_RDWR
const OWNER_ONLY = 0o600;
const READ_WRITE = 1 | 2; // PROT_READ | PROT_WRITE
const MAP_FAILED = -1n;
const SHARED_NOW = 0x01 | 0x8000; // MAP_SHARED | MAP_POPULATE

/**
 * Makes memory that other processes open by its name until {@linkcode forgetSharedMemory}: a file in
 * /dev/shm, all of whose pages exist from the start, because pages touched for the first time in
 * the midst of a copy cost ten times the copy. It stays mapped until the process ends.
 *
 * @throws UserError if /dev/shm has too little room, with the sizes
 */
export async function createSharedMemory(name: string, bytes: number): Promise<ArrayBuffer> {
  const file = libc().open(cString(`${FOLDER}/${name}`), CREATE_NEW, OWNER_ONLY);
  if (file < 0) throw openError(name);
  try {
    // Unlike ftruncate it takes the room now: a page that is missing later would kill the process.
    const error = await libc().posix_fallocate(file, 0n, BigInt(bytes));
    if (error === ENOSPC) throw tooSmall(bytes);
    if (error !== 0) {
      throw new UserError(`${FOLDER}: ${megabytes(bytes)} could not be taken (errno ${error}).`);
    }
    return await map(file, bytes);
  } catch (error) {
    forgetSharedMemory(name);
    throw error;
  } finally {
    libc().close(file);
  }
}

/** Opens what another process of this machine has made. */
export async function openSharedMemory(name: string, bytes: number): Promise<ArrayBuffer> {
  const file = libc().open(cString(`${FOLDER}/${name}`), OPEN, 0);
  if (file < 0) throw openError(name);
  try {
    return await map(file, bytes);
  } finally {
    libc().close(file);
  }
}

/**
 * Removes the name, so that nothing is left when the processes that have mapped the memory end, in
 * whatever way. A name that is gone already is no error.
 */
export function forgetSharedMemory(name: string): void {
  libc().unlink(cString(`${FOLDER}/${name}`));
}

async function map(file: number, bytes: number): Promise<ArrayBuffer> {
  const pointer = await libc().mmap(null, BigInt(bytes), READ_WRITE, SHARED_NOW, file, 0n);
  if (pointer === null || BigInt.asIntN(64, Deno.UnsafePointer.value(pointer)) === MAP_FAILED) {
    throw new UserError(`${megabytes(bytes)} of ${FOLDER} could not be mapped.`);
  }
  return Deno.UnsafePointerView.getArrayBuffer(pointer, bytes);
}

function openError(name: string): UserError {
  const error = errno();
  return new UserError(
    error === ENOENT
      ? `${FOLDER}/${name}, which another rank of this machine has made, is not there: do the ` +
        `ranks run in containers that do not share ${FOLDER}? Start all of them in one container.`
      : `${FOLDER}/${name} could not be opened (errno ${error}): ranks share memory there.`,
  );
}

function tooSmall(bytes: number): UserError {
  const stat = new BigUint64Array(16);
  const known = libc().statvfs(cString(FOLDER), new Uint8Array(stat.buffer)) === 0;
  // f_frsize, f_blocks and f_bavail of 64-bit glibc.
  const [unit, total, free] = [stat[1], stat[2], stat[4]].map(Number);
  return new UserError(
    `The ranks of this machine share ${megabytes(bytes)} of ${FOLDER}` +
      (known ? `, which has ${megabytes(unit * free)} free of ${megabytes(unit * total)}` : "") +
      `. Make it larger: mount -o remount,size=SIZE ${FOLDER} as root, or start the container ` +
      `with --shm-size=SIZE.`,
  );
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
