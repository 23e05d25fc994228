/**
 * The operating system's name for an error, such as `ENOENT`, of Deno's own calls and of Node's.
 */
export function errorCode(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return error instanceof Error && typeof code === "string" ? code : undefined;
}

/** Whether an error says that reading or writing a path is not permitted, by the system or Deno. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable ||
    ["EACCES", "EPERM"].includes(errorCode(error) ?? "");
}

/** Whether an error says that there is no such file or folder. */
export function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "");
}
