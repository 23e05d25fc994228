import { UnusableExample } from "./conversation.ts";
import type { RawRecord } from "./raw-record.ts";

/** A text that may be missing or null. @throws UnusableExample if it is something else */
export function optionalText(record: RawRecord, name: string | undefined): string {
  const value = name === undefined ? undefined : record[name];
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  throw new UnusableExample(`its "${name}" is not text`);
}

/**
 * A text that must be there.
 *
 * @param what its name in the error
 * @throws UnusableExample if it is missing or empty
 */
export function requiredText(record: RawRecord, name: string | undefined, what: string): string {
  const text = optionalText(record, name);
  if (text.trim() !== "") return text;
  const missing = name === undefined || record[name] === undefined;
  throw new UnusableExample(
    missing ? `it has no "${name ?? what}"` : `${what} ("${name}") is empty`,
  );
}

/** Refuses a record that offers tools. @throws UnusableExample for such a record */
export function refuseTools(record: RawRecord, name: string | undefined): void {
  const tools = name === undefined ? undefined : record[name];
  const none = ["", "[]", "{}"];
  const text = typeof tools === "string" ? tools.trim() : JSON.stringify(tools ?? "");
  if (!none.includes(text.replaceAll('""', ""))) {
    throw new UnusableExample("it offers tools, and calling tools is not trained here");
  }
}
