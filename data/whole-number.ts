import { UserError } from "../kernels/runtime/user-error.ts";

/**
 * The value of an option of the command line.
 *
 * @throws UserError unless it is a whole number of at least 1
 */
export function wholeNumber(name: string, value: string): number {
  const number = Number(value);
  if (value.trim() !== "" && Number.isSafeInteger(number) && number >= 1) return number;
  throw new UserError(`--${name}=${value}: expected a whole number of at least 1`);
}
