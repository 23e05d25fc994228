import { UserError } from "../kernels/runtime/user-error.ts";
import { AppendOnlyFile } from "../data/files/append-only-file.ts";
import { parseObject } from "../data/text/json.ts";
import { logLines } from "../data/files/text-file.ts";
import type { Letter } from "./benchmarks/benchmark.ts";
import type { Outcome } from "./scores.ts";

/** A model's answer to a question; a line of the log. */
export interface Answer extends Outcome {
  /** The question's id in its subject. */
  id: string;
  /** Probabilities of A to D, which add up to 1; where letters are scored. */
  probabilities?: Record<Letter, number>;
  /** The text that the model wrote; where it generates. */
  written?: string;
  /** Number of examples in the prompt. */
  shots: number;
  /** Tokens cut off at the beginning of the prompt. */
  cut: number;
  /** Tokens of the prompt. */
  tokens: number;
}

/** The settings that all answers depend on; a log goes on only under the same settings. */
export type LogSettings = Record<string, string | number | boolean | string[]>;

/** An answer as the log holds it. */
interface LoggedAnswer extends Answer {
  /** Hash of the prompt. */
  asked: string;
}

/**
 * The log of an evaluation's answers: a line of settings, then a line for each answer. A run that
 * was stopped reads it and asks only the questions that are missing.
 */
export class AnswerLog implements Disposable {
  private constructor(
    private readonly file: AppendOnlyFile,
    private readonly hashes: ReadonlyMap<string, string>,
    readonly answers: Answer[],
  ) {}

  /**
   * Opens the log, or begins it.
   *
   * @param hashes the hash of each question's prompt, by {@linkcode keyOf}; there may be more or
   *   fewer questions than when the log was started
   * @param say called with a line of text if lines are broken: their questions are asked again
   * @throws {UserError} when it was started with other settings, or answers other questions
   */
  static async open(
    path: string,
    settings: LogSettings,
    hashes: ReadonlyMap<string, string>,
    say: (text: string) => void,
  ): Promise<AnswerLog> {
    // The question of a line that a kill cut off is asked again.
    const lines = await logLines(path);
    if (lines.length > 0) checkSettings(path, lines[0], settings);
    const answers = readAnswers(path, lines.slice(1), say);
    checkQuestions(path, answers, hashes);
    const whole = new TextEncoder().encode(linesOf(lines)).length;
    const file = new AppendOnlyFile(path, whole);
    if (lines.length === 0) file.append(linesOf([JSON.stringify(settings)]));
    return new AnswerLog(file, hashes, answers);
  }

  /** Writes answers to the disk. @throws {UserError} when it is full */
  add(answers: readonly Answer[]): void {
    const logged = answers.map((answer) => ({ ...answer, asked: this.hashes.get(keyOf(answer)) }));
    this.file.append(linesOf(logged.map((answer) => JSON.stringify(answer))));
    this.answers.push(...answers);
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
  }
}

/** Identifies a question of a benchmark. */
export function keyOf({ subject, id }: Pick<Answer, "subject" | "id">): string {
  return `${subject}/${id}`;
}

function linesOf(lines: string[]): string {
  return lines.map((line) => line + "\n").join("");
}

function checkSettings(path: string, line: string, settings: LogSettings): void {
  const before = parseObject(line, `${path}:1`);
  for (const key of new Set([...Object.keys(before), ...Object.keys(settings)])) {
    const [was, is] = [before[key], settings[key]].map((value) => JSON.stringify(value));
    if (was !== is) {
      throw new UserError(
        `${path} was started with ${key} ${was ?? "not set"}, and this run has ${is ?? "none"}: ` +
          `give the settings it was started with to go on, or another --out to start over`,
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
      `${subjects} have changed since; give the data it was started with to go on, or another ` +
      `--out to start over`,
  );
}

function readAnswers(
  path: string,
  lines: string[],
  say: (text: string) => void,
): LoggedAnswer[] {
  const answers: LoggedAnswer[] = [];
  const broken: number[] = [];
  for (const [index, line] of lines.entries()) {
    const answer = parseAnswer(line);
    if (answer) answers.push(answer);
    else broken.push(index + 2);
  }
  if (broken.length > 0) {
    const others = broken.length > 1 ? `, as are ${broken.length - 1} other lines` : "";
    say(`${path}:${broken[0]}: not an answer; the line is left out${others}`);
  }
  return answers;
}

function parseAnswer(line: string): LoggedAnswer | undefined {
  try {
    const answer = JSON.parse(line);
    const fields = [answer.subject, answer.id, answer.asked];
    return fields.every((field) => typeof field === "string") ? answer : undefined;
  } catch {
    return undefined;
  }
}
