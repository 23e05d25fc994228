import { UserError } from "../../kernels/runtime/user-error.ts";
import { defineOperator, mapper } from "./operator.ts";

/**
 * Removes the given characters. As in the original they are joined by `|` into the class of a
 * regular expression, so that two or more characters remove `|` too.
 */
export const removeSpecificCharsMapper = defineOperator(
  "remove_specific_chars_mapper",
  { chars_to_remove: [..."◆●■►▼▲▴∆▻▷❖♡□"] },
  ({ chars_to_remove: characters }) => {
    if (characters.length === 0) return mapper((text) => text);
    const pattern = classOf([...characters]);
    return mapper((text) => text.replace(pattern, ""));
  },
);

function classOf(items: string[]): RegExp {
  const source = `[${items.join("|")}]`;
  try {
    return new RegExp(source, "gu");
  } catch {
    throw new UserError(
      `remove_specific_chars_mapper.chars_to_remove makes the class ${source}, which is not a ` +
        `regular expression: write \\ before ] and \\`,
    );
  }
}
