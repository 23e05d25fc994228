import { defineOperator, mapper } from "./operator.ts";
import { requireLiteral, substitute, wrappedPattern } from "./python-pattern.ts";

/** Removes e-mail addresses, or what `pattern` matches. */
export const cleanEmailMapper = defineOperator(
  "clean_email_mapper",
  { pattern: null, repl: "" },
  ({ pattern, repl }) => {
    requireLiteral(repl, "clean_email_mapper.repl");
    if (pattern === null) return mapper((text) => replaceEmails(text, repl));
    const custom = wrappedPattern(pattern, "clean_email_mapper.pattern");
    return mapper((text) => substitute(text, custom, repl));
  },
);

const LOCAL_PART = /[A-Za-z0-9.+_-]/;
const DOMAIN = /[a-z0-9.+_-]+\.[a-z]+/y;

/**
 * The matches of `[A-Za-z0-9.\-+_]+@[a-z0-9.\-+_]+\.[a-z]+`, found from the `@` outwards: searching
 * from the left takes quadratic time on long runs without one.
 */
function replaceEmails(text: string, replacement: string): string {
  let result = "";
  let done = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", Math.max(at + 1, done))) {
    let start = at;
    while (start > done && LOCAL_PART.test(text[start - 1])) start--;
    DOMAIN.lastIndex = at + 1;
    if (start === at || !DOMAIN.test(text)) continue;
    result += text.slice(done, start) + replacement;
    done = DOMAIN.lastIndex;
  }
  return result + text.slice(done);
}
