import type { Mean, Quantity } from "./measurements.ts";

/** A mean with its error, where it is a result that has one; nothing where there is no mean. */
export function meanText(value: Mean | undefined, quantity: Quantity): string {
  if (!value) return "";
  const number = numberText(value.mean, quantity);
  const { digits, isPlanned, isResult } = quantity;
  return isResult && !isPlanned && value.error !== undefined
    ? `${number} ± ${value.error.toFixed(digits)}`
    : number;
}

/** A number with as many digits as the quantity has. */
export function numberText(value: number, { digits, isPlanned }: Quantity): string {
  return value.toLocaleString(
    "en",
    isPlanned
      ? { maximumSignificantDigits: 3 }
      : { minimumFractionDigits: digits, maximumFractionDigits: digits },
  );
}
