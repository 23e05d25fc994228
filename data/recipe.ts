import { fileURLToPath } from "node:url";
import { didYouMean } from "../kernels/runtime/did-you-mean.ts";
import { UserError } from "../kernels/runtime/user-error.ts";
import { isRecord } from "./files/is-record.ts";
import { readIfThere } from "./files/text-file.ts";
import { shown } from "./text/shown.ts";
import { parseYaml } from "./text/yaml.ts";
import {
  type Argument,
  ModelMissing,
  type Models,
  type Operator,
  type OperatorDefinition,
} from "./operators/operator.ts";
import { OPERATORS } from "./operators/operators.ts";

/** A step of a recipe: an operator and its arguments. */
export interface RecipeStep {
  /** The operator's name. */
  name: string;
  /** The arguments that the recipe gives; all others have their defaults. */
  arguments: Record<string, unknown>;
}

/** A Data-Juicer recipe as far as it concerns this project. */
export interface Recipe {
  /** The field of a sample that holds its text. */
  textKey: string;
  /** The operators in their order. */
  steps: RecipeStep[];
  /** Keys of the file that say where and how to run: the settings of cleaning say that here. */
  ignored: string[];
  /** The recipe's file, which errors name; none if it is in no file. */
  path?: string;
}

/** The path of a recipe: one that ships with this project has a name alone, such as `steel-zh`. */
export function recipePath(name: string): string {
  if (/[/\\]|\.ya?ml$/.test(name)) return name;
  return fileURLToPath(new URL(`recipes/${name}.yaml`, import.meta.url));
}

/**
 * Reads a recipe in Data-Juicer's YAML.
 *
 * @throws UserError naming the file, if it is not a recipe
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const yaml = await readIfThere(path);
  if (yaml !== undefined) return parseRecipe(yaml, path);
  throw new UserError(
    `${path}: there is no such recipe; give the path of a YAML file, or steel-text, steel-code or ` +
      `steel-zh`,
  );
}

/**
 * Parses a recipe in Data-Juicer's YAML.
 *
 * @param path the recipe's file, for messages
 * @throws UserError naming the file, if it is not a recipe
 */
export function parseRecipe(yaml: string, path: string): Recipe {
  const content = parseYaml(yaml, path, { version: "1.1" });
  if (!isRecord(content) || !Array.isArray(content.process)) {
    throw new UserError(
      `${path} is not a recipe: it must have a list "process" of operators, such as ` +
        `"process: [{ text_length_filter: { min_len: 10 } }]"`,
    );
  }
  const { process, text_keys: textKeys = "text", ...others } = content;
  // Of a list, Data-Juicer reads the first as well.
  const [textKey, ...more] = [textKeys].flat();
  if (typeof textKey !== "string") {
    throw new UserError(`${path}: text_keys must be the name of a field`);
  }
  const steps = process.map((item, i) => parseStep(item, `${path}, operator ${i + 1}`));
  const elsewhere = steps.find(({ arguments: { text_key = textKey } }) => text_key !== textKey);
  if (elsewhere !== undefined) {
    throw new UserError(
      `${path}: ${elsewhere.name} has a text_key of its own, but all operators work on the text of ` +
        `one field, "${textKey}": set text_keys of the recipe instead`,
    );
  }
  const further = more.length > 0 ? [`text_keys (but for the first, ${textKey})`] : [];
  return { textKey, steps, ignored: [...Object.keys(others), ...further], path };
}

/** An operator is written as its name alone, or as one key that has its arguments. */
function parseStep(item: unknown, place: string): RecipeStep {
  if (typeof item === "string") return { name: item, arguments: {} };
  const entries = isRecord(item) ? Object.entries(item) : [];
  if (entries.length !== 1) {
    throw new UserError(`${place}: expected an operator's name with its arguments under it`);
  }
  const [name, values] = entries[0];
  if (values !== null && !isRecord(values)) {
    throw new UserError(`${place}: the arguments of ${name} must be keys and values`);
  }
  return { name, arguments: values ?? {} };
}

/** An operator of a recipe, or why it cannot run. */
export interface PreparedStep {
  /** The operator's name. */
  name: string;
  /** The operator; undefined if it needs a model that is not given. */
  operator?: Operator;
  /** What the operator needs, in words. */
  missing?: string;
}

/**
 * Builds the operators of a recipe. An operator that needs a model which is not given is left out,
 * with the reason.
 *
 * @param path the recipe's file, which errors name
 * @throws UserError for an operator or argument that does not exist, or a value that is not allowed
 */
export function prepareSteps(
  steps: RecipeStep[],
  models: Models,
  path?: string,
): PreparedStep[] {
  return steps.map(({ name, arguments: values }) => {
    try {
      return { name, operator: createOperator(name, values, models) };
    } catch (error) {
      if (error instanceof ModelMissing) return { name, missing: error.message };
      if (path === undefined || !(error instanceof UserError)) throw error;
      throw new UserError(`${path}: ${error.message}`);
    }
  });
}

/** Data-Juicer's arguments that say how an operator runs, not what it does; they are ignored. */
const RUNTIME_ARGUMENTS = new Set([
  "accelerator",
  "auto_op_parallelism",
  "batch_mode",
  "batch_size",
  "cpu_required",
  "gpu_required",
  "mem_required",
  "memory",
  "num_cpus",
  "num_gpus",
  "num_proc",
  "ray_execution_mode",
  "runtime_env",
  "skip_op_error",
  "stats_export_path",
  "text_key",
  "turbo",
  "work_dir",
]);

/**
 * Builds one operator.
 *
 * @throws UserError as {@linkcode prepareSteps} does, and {@linkcode ModelMissing}
 */
export function createOperator(
  name: string,
  given: Record<string, unknown>,
  models: Models,
): Operator {
  const definition = OPERATORS.find((operator) => operator.name === name);
  if (definition === undefined) {
    const names = OPERATORS.map((operator) => operator.name);
    throw new UserError(
      `there is no operator "${name}"${didYouMean(name, names)} There are ${names.join(", ")}`,
    );
  }
  const values = { ...definition.defaults };
  for (const [key, value] of Object.entries(given)) {
    if (!RUNTIME_ARGUMENTS.has(key)) values[key] = checkArgument(definition, key, value);
  }
  return definition.create(values, models);
}

/** The value of an argument, which must be of the kind of its default. */
function checkArgument({ name, defaults }: OperatorDefinition, key: string, value: unknown) {
  if (!Object.hasOwn(defaults, key)) {
    const keys = Object.keys(defaults);
    const hint = keys.length === 0
      ? ": it has none"
      : `${didYouMean(key, keys)} It has ${keys.join(", ")}`;
    throw new UserError(`${name} has no argument "${key}"${hint}`);
  }
  const [fits, expected] = fit(value, defaults[key]);
  if (!fits) {
    throw new UserError(`${name}.${key} is ${shown(value)}: it must be ${expected}`);
  }
  return value as Argument;
}

/** Whether a value is of the kind of a default, and what this kind is, in words. */
function fit(value: unknown, instead: Argument): [fits: boolean, expected: string] {
  const isText = typeof value === "string";
  if (typeof instead === "string") return [isText, "text"];
  if (typeof instead === "number") {
    return [typeof value === "number" && !Number.isNaN(value), "a number"];
  }
  if (typeof instead === "boolean") return [typeof value === "boolean", "true or false"];
  if (instead === null) return [isText || value === null, "text"];
  return [isText || isStrings(value), "text or a list of texts"];
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
