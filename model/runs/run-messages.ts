import { join } from "node:path";
import { isRecord } from "../../data/files/is-record.ts";
import { AppendOnlyFile } from "../../data/files/append-only-file.ts";
import { readIfThere } from "../../data/files/text-file.ts";

/** What a run said to the person at the terminal, such as that a step was skipped. */
export interface RunMessage {
  /** When, as ISO 8601 has it. */
  readonly time: string;
  readonly text: string;
}

/** The file of a run's folder that holds its messages, one JSON line each. */
export const MESSAGES_FILE = "messages.jsonl";

/** Adds a message to a run's folder. @throws UserError if it cannot be written */
export function keepMessage(run: string, text: string): void {
  using file = new AppendOnlyFile(join(run, MESSAGES_FILE));
  file.append(JSON.stringify({ time: new Date().toISOString(), text }) + "\n");
}

/** The messages of a run, the latest last; lines that are none are left out. */
export async function readMessages(run: string): Promise<RunMessage[]> {
  const text = await readIfThere(join(run, MESSAGES_FILE)) ?? "";
  return text.split("\n").slice(0, -1).flatMap((line) => {
    try {
      const message: unknown = JSON.parse(line);
      return isMessage(message) ? [message] : [];
    } catch {
      return [];
    }
  });
}

function isMessage(value: unknown): value is RunMessage {
  return isRecord(value) && typeof value.text === "string" && typeof value.time === "string" &&
    !Number.isNaN(Date.parse(value.time));
}
