import { UserError } from "../../kernels/runtime/user-error.ts";
import { isInRange, type NumberRange, rangeInWords } from "../number-range.ts";

/** The value of the argument `--name`, if it is given. @throws UserError if it is out of range */
export function numberFlag(
  name: string,
  text: string | undefined,
  range: NumberRange,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && isInRange(value, range)) return value;
  throw new UserError(`--${name}=${text}: expected ${rangeInWords(range)}`);
}
