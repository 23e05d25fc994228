import { parse } from "@std/yaml";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "./error-message.ts";
import { withLineFeeds } from "./line-ends.ts";

/** Parses the text of the YAML file `path`. @throws UserError if it is not YAML */
export function parseYaml(text: string, path: string): unknown {
  try {
    return parse(withLineFeeds(text));
  } catch (error) {
    throw new UserError(`${path}: not valid YAML: ${messageOf(error).split("\n")[0]}`);
  }
}
