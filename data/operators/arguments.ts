import { UserError } from "../../kernels/runtime/user-error.ts";

/** @throws UserError unless the value is a whole number of at least 1 */
export function requirePositive(value: number, name: string): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new UserError(`${name} is ${value}: it must be a whole number of at least 1`);
  }
}
