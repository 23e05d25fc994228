import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../text/error-message.ts";

/**
 * The error to throw where a file or folder could not be read: it names the path and the reason.
 */
export function readError(error: unknown, path: string): UserError {
  const code = errorCode(error);
  const reason = code === "ENOENT"
    ? "there is no such file or folder"
    : code === "EISDIR"
    ? A_FOLDER
    : isNotPermitted(error)
    ? `reading is not permitted: ${messageOf(error)}`
    : `cannot be read: ${messageOf(error)}`;
  return new UserError(`${path}: ${reason}`);
}

const A_FOLDER = "it is a folder; expected a file";

/** The error to throw where a folder has a file's name: the system lets it be opened like a file. */
export function folderError(path: string): UserError {
  return new UserError(`${path}: ${A_FOLDER}`);
}

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

/**
 * The operating system's name for an error, such as `ENOENT`, of Deno's own calls and of Node's.
 */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
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
