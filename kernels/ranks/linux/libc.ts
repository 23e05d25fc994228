import { UserError } from "../../runtime/user-error.ts";

/** The calls of Linux's C library that ranks use. `nonblocking` ones run on another thread. */
export const LIBC_SYMBOLS = {
  dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
  dlsym: { parameters: ["pointer", "buffer"], result: "u64" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  opendir: { parameters: ["buffer"], result: "pointer" },
  readdir: { parameters: ["pointer"], result: "pointer" },
  closedir: { parameters: ["pointer"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  statvfs: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32", nonblocking: true },
  mmap: {
    parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"],
    result: "pointer",
    nonblocking: true,
  },
  unlink: { parameters: ["buffer"], result: "i32" },
  memcpy: { parameters: ["pointer", "pointer", "usize"], result: "pointer", nonblocking: true },
  futexWait: {
    name: "syscall",
    parameters: ["i64", "pointer", "i32", "i32", "buffer", "pointer", "i32"],
    result: "i64",
    nonblocking: true,
  },
  futexWake: {
    name: "syscall",
    parameters: ["i64", "pointer", "i32", "i32", "pointer", "pointer", "i32"],
    result: "i64",
  },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  getppid: { parameters: [], result: "i32" },
  getuid: { parameters: [], result: "u32" },
  getgid: { parameters: [], result: "u32" },
  alarm: { parameters: ["u32"], result: "u32" },
  _exit: { parameters: ["i32"], result: "void" },
  execvp: { parameters: ["buffer", "buffer"], result: "i32" },
  system: { parameters: ["buffer"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What the functions of {@linkcode libc} are. */
export type Libc = Deno.DynamicLibrary<typeof LIBC_SYMBOLS>["symbols"];

let symbols: Libc | undefined;

/**
 * The C library, opened at the first call; needs `--allow-ffi`.
 *
 * @throws UserError where there is no glibc
 */
export function libc(): Libc {
  if (symbols) return symbols;
  try {
    return symbols = Deno.dlopen("libc.so.6", LIBC_SYMBOLS).symbols;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new UserError(
      `Several ranks need Linux with glibc, whose libc.so.6 could not be opened here: ` +
        `${(error as Error).message}. One rank (one GPU) works without.`,
    );
  }
}

/** Error number: no such file. */
export const ENOENT = 2;
/** Error number: no such process. */
export const ESRCH = 3;
/** Error number: no room left. */
export const ENOSPC = 28;
/** The signal that asks a process to end. */
export const SIGTERM = 15;
/** The signal that no process can refuse. */
export const SIGKILL = 9;

const O_RDWR = 2;
const WRITE_AT_END = 0o1 | 0o2000; // O_WRONLY | O_APPEND
/** Where 64-bit glibc has the name in what readdir gives. */
const NAME_IN_DIRENT = 19;

/** A string as C wants it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** The string that starts a buffer. */
export function fromCString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Why the last call failed; to be asked before any other call. */
export function errno(): number {
  return new Deno.UnsafePointerView(libc().__errno_location()!).getInt32();
}

/** Whether there is a process of this number, a finished one that nobody has asked for included. */
export function processExists(pid: number): boolean {
  return libc().kill(pid, 0) === 0 || errno() !== ESRCH;
}

/**
 * The bytes of a file, none if it cannot be read. For /proc, which Deno itself reads only with
 * `--allow-all`.
 */
export function readSystemFile(path: string): Uint8Array<ArrayBuffer> {
  const file = libc().open(cString(path), 0, 0);
  if (file < 0) return new Uint8Array();
  const parts: number[] = [];
  const part = new Uint8Array(4096);
  while (true) {
    const count = Number(libc().read(file, part, BigInt(part.length)));
    if (count <= 0) break;
    parts.push(...part.subarray(0, count));
  }
  libc().close(file);
  return Uint8Array.from(parts);
}

/** Names in a folder, none if it cannot be read; for /proc and /dev, like {@linkcode readSystemFile}. */
export function listSystemFolder(path: string): string[] {
  const folder = libc().opendir(cString(path));
  if (folder === null) return [];
  const names: string[] = [];
  let entry: Deno.PointerValue;
  while ((entry = libc().readdir(folder)) !== null) {
    names.push(new Deno.UnsafePointerView(entry).getCString(NAME_IN_DIRENT));
  }
  libc().closedir(folder);
  return names;
}

/** Whether this process may open a device. */
export function canOpen(path: string): boolean {
  const file = libc().open(cString(path), O_RDWR, 0);
  if (file < 0) return false;
  libc().close(file);
  return true;
}

/** Makes a descriptor (1, 2) write to the end of another file; false if that cannot be opened. */
export function redirect(descriptor: number, path: string): boolean {
  const file = libc().open(cString(path), WRITE_AT_END, 0);
  if (file < 0) return false;
  libc().dup2(file, descriptor);
  libc().close(file);
  return true;
}
