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

/**
 * Refuses an answer that is marked as a bad one, which nobody wants to be learnt.
 *
 * @param name the column of the mark, if there is one: true for a good answer
 * @throws UnusableExample for such a record
 */
export function refuseBadAnswer(record: RawRecord, name: string | undefined): void {
  const mark = name === undefined ? undefined : record[name] ?? undefined;
  if (mark === undefined || String(mark).toLowerCase() === "true") return;
  throw new UnusableExample(
    String(mark).toLowerCase() === "false"
      ? `its answer is marked as a bad one ("${name}" is false)`
      : `its "${name}" is neither true nor false`,
  );
}

/** Refuses a record that shows or plays something. @throws UnusableExample for such a record */
export function refuseMedia(record: RawRecord): void {
  const media = ["images", "videos", "audios"].find((name) => {
    const value = record[name];
    return Array.isArray(value) ? value.length > 0 : typeof value === "string" && value !== "";
  });
  if (media) throw new UnusableExample(`it has ${media}, and this model reads text alone`);
}
