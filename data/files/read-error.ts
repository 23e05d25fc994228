import { UserError } from "../../kernels/runtime/user-error.ts";
import { errorCode, isNotPermitted } from "./error-code.ts";
import { messageOf } from "./error-message.ts";

/**
 * The error to throw where a file or folder could not be read: it names the path and the reason.
 */
export function readError(error: unknown, path: string): UserError {
  const code = errorCode(error);
  const reason = code === "ENOENT"
    ? "there is no such file or folder"
    : code === "EISDIR"
    ? "it is a folder; expected a file"
    : isNotPermitted(error)
    ? `reading is not permitted: ${messageOf(error)}`
    : `cannot be read: ${messageOf(error)}`;
  return new UserError(`${path}: ${reason}`);
}
