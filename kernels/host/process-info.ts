/** What Linux knows of another process. */
export interface ProcessInfo {
  /** Its name, of at most 15 bytes. */
  readonly name: string;
  /** The number of the process that started it, or that took it over. */
  readonly parent: number;
}

/**
 * Reads `/proc`. Deno lets no program do so without all permissions; the C library does, with
 * `--allow-ffi`.
 *
 * @returns undefined if nothing can be known here, or if there is no such process
 */
export function processInfo(pid: number): ProcessInfo | undefined {
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  const library = openLibrary();
  if (library === undefined) return undefined;
  const { open, read, close } = library.symbols;
  const file = open(new TextEncoder().encode(`/proc/${pid}/stat\0`), 0);
  const bytes = new Uint8Array(1024);
  const length = file < 0 ? 0 : Number(read(file, bytes, BigInt(bytes.length)));
  if (file >= 0) close(file);
  library.close();
  const text = new TextDecoder().decode(bytes.subarray(0, Math.max(0, length)));
  // Number, name in parentheses, state, parent; the name may hold anything.
  const [, name, parent] = /^\d+ \((.*)\) \S (\d+) /s.exec(text) ?? [];
  return parent === undefined ? undefined : { name, parent: Number(parent) };
}

/** The C library; undefined where it is not Linux's of GNU. */
function openLibrary() {
  try {
    return Deno.dlopen("libc.so.6", {
      open: { parameters: ["buffer", "i32"], result: "i32" },
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      close: { parameters: ["i32"], result: "i32" },
    });
  } catch {
    return undefined;
  }
}
