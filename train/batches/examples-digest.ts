import { createHash } from "node:crypto";
import { each, type Items } from "./example-batches.ts";

/** A hash of the tokens and labels of all items. Other items have another. */
export function digestOf(items: Items): string {
  const hash = createHash("sha256");
  for (const item of each(items)) {
    for (const { inputs, labels } of item) {
      hash.update(Int32Array.from([inputs.length, inputs, labels].flat()));
    }
  }
  return hash.digest("hex");
}
