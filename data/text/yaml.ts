import { type Document, LineCounter, parseDocument, type Tags } from "yaml";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { messageOf } from "./error-message.ts";
import { withLineFeeds } from "./line-ends.ts";

/** How a YAML file is read. */
export interface YamlRules {
  /** The version of YAML; PyYAML, and so Data-Juicer, reads 1.1: `yes`, `1_000`, `<<`. */
  version?: "1.1" | "1.2";
}

/** A YAML file whose nodes know where they are. */
export interface YamlFile {
  /** What the file holds; null if nothing. */
  readonly contents: Document.Parsed["contents"];
  /** How errors name a place, such as `settings.yaml:3`. */
  placeOf(offset: number): string;
  /** The plain value of a node. @throws UserError for one that contains itself or is too large */
  valueOf(node: Node | null): unknown;
}

type Node = NonNullable<Document.Parsed["contents"]>;

/**
 * Parses the text of the YAML file `path`.
 *
 * @throws UserError naming the line, if it is not YAML, or has tags that mean nothing here
 */
export function parseYamlFile(
  text: string,
  path: string,
  { version = "1.2" }: YamlRules = {},
): YamlFile {
  const lineCounter = new LineCounter();
  const placeOf = (offset: number) => `${path}:${lineCounter.linePos(offset).line}`;
  const document = orRefuse(path, () =>
    parseDocument(withLineFeeds(text), {
      lineCounter,
      prettyErrors: false,
      version,
      merge: version === "1.1",
      customTags: version === "1.1" ? asPyYaml : null,
    }));
  const [fault] = [...document.errors, ...document.warnings];
  if (fault) throw new UserError(`${placeOf(fault.pos[0])}: not valid YAML: ${reasonOf(fault)}`);
  return {
    contents: document.contents,
    placeOf,
    valueOf: (node) => {
      const where = node ? placeOf(node.range[0]) : path;
      return orRefuse(where, () => {
        const value = node?.toJS(document) ?? null;
        if (containsItself(value)) throw new Error("a value contains itself");
        return value;
      });
    },
  };
}

/**
 * The value that the text of the YAML file `path` stands for.
 *
 * @throws UserError if it is not YAML, or a value contains itself
 */
export function parseYaml(text: string, path: string, rules?: YamlRules): unknown {
  const file = parseYamlFile(text, path, rules);
  return file.valueOf(file.contents);
}

function orRefuse<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UserError(`${where}: not valid YAML: ${reasonOf(error)}`);
  }
}

/** In words: the parser takes deep nesting for a fault of its own. */
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  return /call stack/.test(message) ? "it is nested too deeply" : message;
}

/** In YAML 1.1 as it is written down, `y` and `n` are true and false; to PyYAML they are text. */
function asPyYaml(tags: Tags): Tags {
  return tags.map((tag) => {
    const isBool = typeof tag === "object" && !tag.collection && tag.tag.endsWith(":bool");
    return isBool ? { ...tag, test: new RegExp(`^(?![yYnN]$)${tag.test?.source.slice(1)}`) } : tag;
  });
}

function containsItself(value: unknown, above = new Set<unknown>(), seen = new Set<unknown>()) {
  if (typeof value !== "object" || value === null) return false;
  if (above.has(value)) return true;
  if (seen.has(value)) return false;
  seen.add(value);
  above.add(value);
  const found = Object.values(value).some((each): boolean => containsItself(each, above, seen));
  above.delete(value);
  return found;
}
