import { UserError } from "../../kernels/runtime/user-error.ts";
import { errorCode, isNotPermitted } from "./error-code.ts";

/**
 * The error to throw where a file or folder could not be written: a UserError where the system
 * refused (a full disk or quota, a missing permission, a folder of this name), else the error
 * itself.
 *
 * @param bytes size of the finished file, where it is known
 */
export function writeError(error: unknown, path: string, bytes?: number): unknown {
  if (!(error instanceof Error)) return error;
  const code = errorCode(error);
  const full = code === "ENOSPC"
    ? "the disk is full"
    : code === "EDQUOT"
    ? "the disk quota is used up"
    : undefined;
  if (full !== undefined) {
    const need = bytes === undefined
      ? ""
      : `; this file needs ${bytes} bytes (${megabytes(bytes)})`;
    return new UserError(
      `${path}: ${full}${need}: free some space and run the same command again, or choose another ` +
        `folder`,
    );
  }
  if (isNotPermitted(error)) {
    return new UserError(`${path}: writing is not permitted: ${error.message}`);
  }
  if (code === "EISDIR") {
    return new UserError(`${path}: it is a folder; expected the name of a file`);
  }
  if (code !== undefined) return new UserError(`${path}: cannot be written: ${error.message}`);
  return error;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
