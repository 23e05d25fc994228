import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "../text/error-message.ts";
import { SPACE, WORD } from "./unicode.ts";

/**
 * The pattern of a Data-Juicer argument, which is Python's, as a global JavaScript expression that
 * matches the same: of Python's `regex` module, without flags but `(?i)` at its beginning.
 *
 * @param owner the operator and argument, such as `clean_email_mapper.pattern`
 * @param dot what `.` matches: of Python's flag DOTALL, a line feed too
 * @throws UserError if it is no pattern, or has what is not known here
 */
export function pythonPattern(pattern: string, owner: string, dot: "[^]" | "[^\\n]"): RegExp {
  const ignoreCase = pattern.startsWith("(?i)");
  const source = ignoreCase ? pattern.slice("(?i)".length) : pattern;
  try {
    return new RegExp(translated(source, dot), ignoreCase ? "gui" : "gu");
  } catch (error) {
    throw new UserError(`${owner} "${pattern}" is not a regular expression: ${messageOf(error)}`);
  }
}

/** The pattern of an argument; Data-Juicer removes `r'…'` or `r"…"` around it. */
export function wrappedPattern(pattern: string, owner: string): RegExp {
  const wrapped = pattern.length > 2 && /^r'.*'$|^r".*"$/s.test(pattern);
  return pythonPattern(wrapped ? pattern.slice(2, -1) : pattern, owner, "[^]");
}

/** Replaces every match by a literal text. */
export function substitute(text: string, pattern: RegExp, replacement: string): string {
  return text.replace(pattern, () => replacement);
}

/** Throws UserError for a replacement that Python would fill with the text of a group. */
export function requireLiteral(replacement: string, owner: string): void {
  if (!replacement.includes("\\")) return;
  throw new UserError(`${owner} is "${replacement}": it must be a plain text, without \\`);
}

/**
 * Parts of a pattern, outside of a class, that mean something else in Python than in JavaScript.
 */
const ESCAPES: Record<string, string> = {
  $: "(?=\\n?(?![^]))",
  "]": "\\]",
  "\\A": "(?<![^])",
  "\\Z": "(?![^])",
  "\\b": `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`,
  "\\B": `(?:(?<=[${WORD}])(?=[${WORD}])|(?<![${WORD}])(?![${WORD}]))`,
  "\\d": "\\p{Nd}",
  "\\D": "\\P{Nd}",
  "\\s": `[${SPACE}]`,
  "\\S": `[^${SPACE}]`,
  "\\w": `[${WORD}]`,
  "\\W": `[^${WORD}]`,
  "(?P<": "(?<",
};

/** The same parts within a class. */
const ESCAPES_IN_CLASS: Record<string, string> = {
  "\\d": "\\p{Nd}",
  "\\D": "\\P{Nd}",
  "\\s": SPACE,
  "\\w": WORD,
};

const PARTS = /\\[^]|\[\^?\]?|[\].$]|\(\?P</g;

function translated(pattern: string, dot: string): string {
  let inClass = false;
  return pattern.replace(PARTS, (part) => {
    if (inClass) {
      inClass = !part.endsWith("]") || part.startsWith("\\");
      if (part.startsWith("[")) return `\\${part}`;
      // As a member, JavaScript knows no complement of a class.
      if (/\\[SW]/.test(part)) throw new Error(`${part} between [ and ] is not known here`);
      return ESCAPES_IN_CLASS[part] ?? unescaped(part, /[\^$\\.*+?()[\]{}|/-]/);
    }
    inClass = part.startsWith("[");
    // Python takes a bracket that comes first in a class for a member.
    if (inClass) return part.replace("]", "\\]");
    if (part === ".") return dot;
    return ESCAPES[part] ?? unescaped(part, /[\^$\\.*+?()[\]{}|/]/);
  });
}

/** Python lets any sign be escaped, JavaScript only those that mean something. */
function unescaped(part: string, syntax: RegExp): string {
  const needless = part.length === 2 && /[^a-zA-Z0-9]/.test(part[1]) && !syntax.test(part[1]);
  return needless ? part[1] : part;
}
