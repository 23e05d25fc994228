import { UserError } from "../../kernels/runtime/user-error.ts";
import { alpacaConversation, alpacaPreference } from "./alpaca.ts";
import { type Conversation, type Preference, UnusableExample } from "./conversation.ts";
import { conversationsOfExamRow, type ExamStyle, isExamRow } from "./exam.ts";
import { fillIdentity, type Identity, isIdentitySet } from "./identity.ts";
import { filesOf } from "../files/input-files.ts";
import { readRecords } from "./records.ts";
import type { InstructionSet } from "./registry.ts";
import { formatOfRecord, type SetFormat } from "./set-format.ts";
import { sharegptConversation, sharegptPreference } from "./sharegpt.ts";
import { refuseBadAnswer, refuseMedia } from "./texts.ts";
import type { RawRecord } from "./raw-record.ts";

/** Counts the records that were passed over. */
export class Problems {
  /** Number of records that were passed over. */
  count = 0;
  /** The first few records, each with its file, place and reason. */
  readonly first: string[] = [];

  /** Counts a record that was passed over. */
  add(where: string, reason: string): void {
    this.count++;
    if (this.first.length < NAMED) this.first.push(`${where}: ${reason}`);
  }

  /** The count and the first records in words; empty if nothing was passed over. */
  toString(): string {
    if (this.count === 0) return "";
    const more = this.count > this.first.length ? "\n  …" : "";
    const examples = this.count === 1 ? "1 example was" : `${this.count} examples were`;
    return `${examples} passed over:\n  ${this.first.join("\n  ")}${more}`;
  }
}

const NAMED = 5;

/**
 * The conversations of a set, one at a time; other records are counted as problems.
 *
 * @param exams how rows of exams with a worked solution are asked
 * @throws UserError if the file cannot be read, holds preferences, or has no conversation
 */
export function readConversations(
  set: InstructionSet,
  { exams, ...identity }: Identity & { exams: ExamStyle | "both" },
  problems: Problems,
): AsyncGenerator<Conversation> {
  return readSet(set, identity, problems, (record, format) => {
    if (!set.isDeclared && isExamRow(record)) return conversationsOfExamRow(record, exams);
    if (format === undefined) throw unknownFields(record);
    if (format.ranking) {
      throw new UserError(`the set "${set.name}" holds pairs of answers: it is for deno task dpo`);
    }
    refuseBadAnswer(record, format.columns.kto_tag);
    const convert = format.formatting === "alpaca" ? alpacaConversation : sharegptConversation;
    return [convert(record, format)];
  });
}

/**
 * The preferences of a set, one at a time; other records are counted as problems.
 *
 * @throws UserError if the file cannot be read, is not declared as ranking, or has no preference
 */
export function readPreferences(
  set: InstructionSet,
  identity: Identity,
  problems: Problems,
): AsyncGenerator<Preference> {
  return readSet(set, identity, problems, (record, format) => {
    if (format === undefined) throw unknownFields(record);
    if (!format.ranking) {
      throw new UserError(
        `the set "${set.name}" has no pairs of answers: its entry in dataset_info.json needs ` +
          `"ranking": true, its records "chosen" and "rejected"`,
      );
    }
    const convert = format.formatting === "alpaca" ? alpacaPreference : sharegptPreference;
    return [convert(record, format)];
  });
}

async function* readSet<T extends object>(
  set: InstructionSet,
  identity: Identity,
  problems: Problems,
  convert: (record: RawRecord, format: SetFormat | undefined) => T[],
): AsyncGenerator<T> {
  let found = false;
  let { format } = set;
  const isIdentity = isIdentitySet(set);
  for (const path of await filesOf([set.path])) {
    for await (const { place, record } of readRecords(path)) {
      try {
        if (record instanceof UnusableExample) throw record;
        if (!set.isDeclared) refuseMedia(record);
        format ??= formatOfRecord(record);
        const examples = convert(record, format);
        found = true;
        for (const example of examples) {
          yield isIdentity ? withIdentity(example, identity) : example;
        }
      } catch (error) {
        if (!(error instanceof UnusableExample)) throw error;
        problems.add(`${path}, ${place}`, error.message);
      }
    }
  }
  if (found) return;
  throw new UserError(`${set.path} holds no example to train on. ${problems}`);
}

/** Fills in the placeholders in every text of a conversation or preference. */
function withIdentity<T extends object>(example: T, identity: Identity): T {
  return JSON.parse(
    JSON.stringify(example),
    (_, value) => typeof value === "string" ? fillIdentity(value, identity) : value,
  );
}

function unknownFields(record: RawRecord): UnusableExample {
  return new UnusableExample(
    `its fields (${Object.keys(record).join(", ")}) match no known format: expected ` +
      `"instruction", "conversations" or "messages"`,
  );
}
