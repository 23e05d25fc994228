/**
 * The answers of an evaluation as they come: a line of settings, then one a question. A run that
 * was stopped finds them here and asks only what is missing.
 */

import { UserError } from "../kernels/runtime/user-error.ts";
import { parseObject } from "../data/files/json.ts";
import { readIfThere } from "../data/files/json-file.ts";
import { writeError } from "../data/files/write-error.ts";
import type { Letter } from "./benchmarks/benchmark.ts";
import type { Outcome } from "./scores.ts";

/** One line of the log. */
export interface Answer extends Outcome {
  id: string;
  /** Probabilities of A to D, which add up to 1; where letters are scored. */
  probabilities?: Record<Letter, number>;
  /** What the model wrote, where it generates. */
  written?: string;
  /** Shots that fitted. */
  shots: number;
  /** Tokens cut off at the prompt's beginning. */
  cut: number;
  /** Tokens of the prompt. */
  tokens: number;
}

/** What decides all answers alike; a log goes on only under the same. */
export type LogSettings = Record<string, string | number | boolean | string[]>;

/** As it stands in the log. */
interface LoggedAnswer extends Answer {
  /** Hash of what was asked. */
  asked: string;
}

export class AnswerLog {
  private constructor(
    private readonly path: string,
    private readonly hashes: ReadonlyMap<string, string>,
    readonly answers: Answer[],
  ) {}

  /**
   * Opens the log, or begins it.
   *
   * @param hashes of what each question asks, by {@linkcode keyOf}; more of them, or fewer, than
   *   when it was begun
   * @throws {UserError} when it was begun under other settings, or answers other questions
   */
  static async open(
    path: string,
    settings: LogSettings,
    hashes: ReadonlyMap<string, string>,
  ): Promise<AnswerLog> {
    const text = await readIfThere(path) ?? "";
    // A line that a kill cut off has no end; its question is asked again.
    const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n").slice(0, -1);
    if (lines.length === 0) {
      await write(path, [settings], "create");
      return new AnswerLog(path, hashes, []);
    }
    checkSettings(path, lines[0], settings);
    const answers = lines.slice(1).map((line, index) => parseAnswer(line, `${path}:${index + 2}`));
    checkQuestions(path, answers, hashes);
    const length = new TextEncoder().encode(lines.join("\n") + "\n").length;
    await Deno.truncate(path, length);
    return new AnswerLog(path, hashes, answers);
  }

  /** Writes answers to the disk. */
  async add(answers: Answer[]): Promise<void> {
    const logged = answers.map((answer) => ({ ...answer, asked: this.hashes.get(keyOf(answer)) }));
    await write(this.path, logged, "append");
    this.answers.push(...answers);
  }
}

/** What tells questions of a benchmark apart. */
export function keyOf({ subject, id }: Pick<Answer, "subject" | "id">): string {
  return `${subject}/${id}`;
}

async function write(path: string, values: unknown[], how: "create" | "append"): Promise<void> {
  const lines = values.map((value) => JSON.stringify(value) + "\n").join("");
  const bytes = new TextEncoder().encode(lines);
  try {
    await Deno.writeFile(path, bytes, { append: how === "append" });
  } catch (error) {
    throw writeError(error, path, bytes.length);
  }
}

function checkSettings(path: string, line: string, settings: LogSettings): void {
  const before = parseObject(line, `${path}:1`);
  for (const key of new Set([...Object.keys(before), ...Object.keys(settings)])) {
    const [was, is] = [before[key], settings[key]].map((value) => JSON.stringify(value));
    if (was !== is) {
      throw new UserError(
        `${path} was begun with ${key} ${was ?? "not set"}, and this run has ${is ?? "none"}: ` +
          `give the settings it was begun with to go on, or another --out to begin anew`,
      );
    }
  }
}

function checkQuestions(
  path: string,
  answers: LoggedAnswer[],
  hashes: ReadonlyMap<string, string>,
): void {
  const others = answers.filter((answer) =>
    answer.asked !== (hashes.get(keyOf(answer)) ?? answer.asked)
  );
  if (others.length === 0) return;
  const subjects = [...new Set(others.map(({ subject }) => subject))].join(", ");
  throw new UserError(
    `${path} holds answers to other questions, or with other examples before them: those of ` +
      `${subjects} have changed since; give the data it was begun with to go on, or another --out ` +
      `to begin anew`,
  );
}

function parseAnswer(line: string, where: string): LoggedAnswer {
  const answer = parseObject(line, where);
  if ([answer.subject, answer.id, answer.asked].some((field) => typeof field !== "string")) {
    throw new UserError(`${where}: not an answer; remove the file, or give another --out`);
  }
  return answer as unknown as LoggedAnswer;
}
