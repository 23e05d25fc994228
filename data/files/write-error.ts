import { UserError } from "../../kernels/runtime/user-error.ts";

/**
 * What to throw when writing a file failed: an error for people where the system refused (a full
 * disk or quota, a missing permission, a folder of this name), else the error itself.
 *
 * @param bytes size of the file that was to be written
 */
export function writeError(error: unknown, path: string, bytes: number): unknown {
  if (!(error instanceof Error)) return error;
  if (hasCode(error, "ENOSPC") || hasCode(error, "EDQUOT")) {
    const cause = hasCode(error, "ENOSPC") ? "the disk is full" : "the disk quota is used up";
    return new UserError(
      `${path}: ${cause}; this file needs ${bytes} bytes (${megabytes(bytes)}). ` +
        `Free space there or choose another folder`,
    );
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new UserError(`${path}: writing is not permitted: ${error.message}`);
  }
  if ("code" in error) return new UserError(`${path}: cannot be written: ${error.message}`);
  return error;
}

function hasCode(error: Error, code: string): boolean {
  return "code" in error && error.code === code;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
