import { isRecord } from "../files/is-record.ts";
import { messageOf } from "../text/error-message.ts";
import { shown } from "../text/shown.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { splitPattern } from "./split-pattern.ts";

/** Characters of every kind that patterns of tokenizers tell apart. */
const SAMPLES = [..."aAé中1²_'!。 \n\r\t\u3000😀"];
/** What may follow them, so that a match that came far must be given up. */
const ENDS = ["", "!", "a\n"];
/** Characters of the longest text that is tried: cubic time is then a hundred times quadratic time. */
const LONGEST = 1 << 9;
/** Each text is longer than the one before by so much: one that is slow is not yet very slow. */
const GROWTH = 1.5;
/** Milliseconds that none may take; where time grows with the square, the longest takes one or two. */
const MOST_TIME = 20;
/** Of so many tries one is as fast as the machine allows, however busy it is. */
const TRIES = 8;
/** Published patterns have four at most. */
const MOST_CHOICES = 6;

/** Patterns that were found fast. */
const fast = new Set<string>();

/**
 * Refuses a tokenizer with a pattern that could take for ever: a file may come from anyone, and
 * matching cannot be stopped. Time that grows with the square of a run of like characters is let
 * pass: published patterns have it, such as DeepSeek-LLM's `\s+$`.
 *
 * @param tokenizer the contents of `tokenizer.json`
 * @param name where it is from, for messages
 * @throws UserError for a pattern that is no regular expression, repeats a group that can match in
 *   several ways, looks back at a group, or is slow
 */
export function checkPatterns(tokenizer: Readonly<Record<string, unknown>>, name: string): void {
  const { normalizer, pre_tokenizer, post_processor, decoder } = tokenizer;
  for (const regex of patternsOf([normalizer, pre_tokenizer, post_processor, decoder])) {
    if (fast.has(regex)) continue;
    const fault = faultOf(regex);
    if (fault !== undefined) {
      throw new UserError(
        `${name}: the tokenizer cannot be used: its pattern ${shown(regex)} ${fault}`,
      );
    }
    fast.add(regex);
  }
}

/** All regular expressions in a part of a tokenizer. */
function patternsOf(part: unknown): string[] {
  const found: string[] = [];
  for (const rest = [part]; rest.length > 0;) {
    const next = rest.pop();
    if (isRecord(next) && typeof next.Regex === "string") found.push(next.Regex);
    if (typeof next === "object" && next !== null) rest.push(...Object.values(next));
  }
  return found;
}

function faultOf(regex: string): string | undefined {
  let pattern: RegExp;
  try {
    pattern = splitPattern(regex);
  } catch (error) {
    return `cannot be used: ${messageOf(error).slice(0, 100)}`;
  }
  return explosionOf(pattern.source) ??
    (isSlow(pattern) ? "takes far too long for some texts" : undefined);
}

/** An escape, a class, the beginning of a group, a quantifier, or any other character. */
const PARTS =
  /\\(?:k<|[pPu]\{[^}]*\}|[^])|\[(?:\\[^]|[^\]\\])*\]|\(\?(?:[=!:]|<[=!]|<[^>]*>|[a-z-]*:)|[*+?]|\{\d+,?\d*\}|[^]/gu;

/** What a part of an expression leaves open. */
interface Group {
  /** Choices in the alternative that has most of them, and in the one being read. */
  most: number;
  choices: number;
  hasAlternatives: boolean;
}

/**
 * What lets the time of an expression grow exponentially, in words. Where only what matches in one
 * way is repeated, it grows no faster than a power of the text's length, by the number of choices.
 */
function explosionOf(source: string): string | undefined {
  const open: Group[] = [{ most: 0, choices: 0, hasAlternatives: false }];
  /** Choices of the group that has just ended. */
  let ended: number | undefined;
  let isQuantified = false;
  for (const [part] of source.matchAll(PARTS)) {
    const group = open[open.length - 1];
    if (/^\\(?:[1-9]|k<)/.test(part)) return "looks back at a group";
    const quantifier = /^(?:[*+?]|\{\d+,?\d*\})$/.test(part);
    if (quantifier && !isQuantified) {
      if (ended && part !== "?") return "repeats a group that can match in several ways";
      if (!/^\{\d+\}$/.test(part)) group.choices++;
    }
    isQuantified = quantifier;
    ended = undefined;
    if (part.startsWith("(")) {
      open.push({ most: 0, choices: 0, hasAlternatives: false });
    } else if (part === "|") {
      group.most = Math.max(group.most, group.choices);
      group.choices = 0;
      group.hasAlternatives = true;
    } else if (part === ")" && open.length > 1) {
      open.pop();
      ended = Math.max(group.most, group.choices) + Number(group.hasAlternatives);
      open[open.length - 1].choices += ended;
    }
    if (open[open.length - 1].choices > MOST_CHOICES) return "has too many choices in a row";
  }
  return undefined;
}

/** Whether a pattern takes long for some text, tried on longer and longer ones. */
function isSlow(pattern: RegExp): boolean {
  const literals = pattern.source.replaceAll(/[\\p{}LNMPSZ]/g, "");
  for (const sample of new Set([...SAMPLES, ...literals])) {
    for (const end of ENDS) {
      for (let length = 8; length <= LONGEST; length *= GROWTH) {
        if (!isFastWith(pattern, sample.repeat(length) + end)) return true;
      }
    }
  }
  return false;
}

function isFastWith(pattern: RegExp, text: string): boolean {
  for (let tries = 0; tries < TRIES; tries++) {
    const started = performance.now();
    text.replace(pattern, "");
    if (performance.now() - started <= MOST_TIME) return true;
  }
  return false;
}
