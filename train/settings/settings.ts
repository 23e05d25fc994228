import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMap, isScalar, type ParsedNode, stringify } from "yaml";
import { fileText } from "../../data/files/text-file.ts";
import { shown } from "../../data/text/shown.ts";
import { parseYamlFile } from "../../data/text/yaml.ts";
import { isRecord } from "../../data/files/is-record.ts";
import {
  GPUS,
  GPUS_MEANING,
  NO_INSTALL,
  NO_INSTALL_MEANING,
  WATCH,
  WATCH_MEANING,
} from "../../kernels/host/command-arguments.ts";
import { didYouMean } from "../../kernels/runtime/did-you-mean.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { Field, Given, Schema, SettingsOf } from "./settings-schema.ts";

/** Columns of a help text. */
const HELP_WIDTH = 100;

/** One value that a file or an argument gives. */
interface Entry {
  /** `section.key`, known to the schema. */
  name: string;
  value: unknown;
  /** How to name it in an error: `FILE:LINE: section.key`, `--section.key` or `section.key`. */
  label: string;
}

/**
 * Reads a stage's settings in layers, each over the one before: the stage's own YAML file, the files
 * that `--config FILE.yaml` names in their order, and arguments such as `--train.steps=200` or
 * `--train.steps 200`.
 *
 * @param defaults the stage's YAML file, which gives every setting of the schema but optional ones
 * @throws UserError naming file and line, or argument, for a setting that is unknown, mistyped or
 *   out of range
 */
export async function loadSettings<S extends Schema>(
  schema: S,
  defaults: URL,
  argv: string[],
): Promise<SettingsOf<S>> {
  const { configs, entries } = readArguments(schema, argv);
  const files = await Promise.all(configs.map((file) => readFile(schema, file)));
  return assemble(schema, await defaultsOf(schema, defaults), [...files.flat(), ...entries]);
}

/**
 * A stage's settings as its own YAML file has them, but for those that `values` gives.
 *
 * @param defaults the stage's YAML file, which gives every setting of the schema
 * @throws UserError naming the setting, if it is unknown, mistyped or out of range
 */
export async function settingsOver<S extends Schema>(
  schema: S,
  defaults: URL,
  values: Given<SettingsOf<S>>,
): Promise<SettingsOf<S>> {
  return assemble(schema, await defaultsOf(schema, defaults), entriesOf(schema, values));
}

/** The settings as YAML that `--config` reads back to the same values. */
export function settingsToYaml(settings: SettingsOf<Schema>): string {
  return stringify(settings, { lineWidth: 0 });
}

/** The options for a help text, by section: each setting as an argument, its meaning, its default. */
export async function settingsHelp(schema: Schema, defaults: URL): Promise<string> {
  const settings = await loadSettings(schema, defaults, []);
  const nameWidth = Math.max(...[...fieldsByName(schema).keys()].map((name) => name.length)) + 2;
  const row = (name: string, meaning: string) =>
    wrapped(meaning, HELP_WIDTH - nameWidth - 4).map((line, index) =>
      `  ${(index === 0 ? name : "").padEnd(nameWidth)}  ${line}`
    );
  const sections = Object.entries(schema).flatMap(([section, fields]) => [
    `\n${section}:`,
    ...Object.entries(fields).flatMap(([key, { meaning }]) =>
      row(`--${section}.${key}`, `${meaning} [${inHelp(settings[section][key])}]`)
    ),
  ]);
  return [
    `Options, with defaults in brackets (from ${fileName(defaults)}):`,
    ...row("--config FILE.yaml", "settings that replace the defaults; may be repeated"),
    ...row(`${GPUS} N`, `${GPUS_MEANING} [1]`),
    ...row(WATCH, WATCH_MEANING),
    ...row(NO_INSTALL, NO_INSTALL_MEANING),
    ...row("--help", "show this text"),
    ...sections,
  ].join("\n");
}

/** A text as lines of at most `width` characters, cut between words. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** A stage's own YAML file. */
interface Defaults {
  readonly source: string;
  readonly entries: Entry[];
}

async function defaultsOf(schema: Schema, file: URL): Promise<Defaults> {
  return { source: fileName(file), entries: await readFile(schema, file) };
}

function assemble<S extends Schema>(
  schema: S,
  { source, entries: defaults }: Defaults,
  given: Entry[],
): SettingsOf<S> {
  const replaced = replacedBy(schema, given);
  const latest = new Map([...defaults, ...given].map((entry) => [entry.name, entry]));
  const settings: Record<string, Record<string, unknown>> = {};
  for (const [name, field] of fieldsByName(schema)) {
    const entry = latest.get(name);
    if (replaced.has(name) || entry === undefined && field.isOptional) continue;
    if (entry === undefined) throw new UserError(`${source}: the setting ${name} is missing`);
    const value = field.accept(entry.value);
    if (value === undefined) {
      throw new UserError(
        `${entry.label} is ${shown(entry.value)}; expected ${field.expected}`,
      );
    }
    const [section, key] = name.split(".");
    (settings[section] ??= {})[key] = value;
  }
  // Every field of the schema is there, and holds what its `accept` returned.
  return settings as SettingsOf<S>;
}

/** The settings that others stand for. @throws UserError if one of them is given too */
function replacedBy(schema: Schema, given: readonly Entry[]): Set<string> {
  const names = new Set(given.map(({ name }) => name));
  const replaced = new Set<string>();
  for (const [name, { replaces = [] }] of fieldsByName(schema)) {
    if (!names.has(name)) continue;
    for (const other of replaces) replaced.add(other);
    const both = given.find((entry) => replaces.includes(entry.name));
    if (both) {
      throw new UserError(
        `${both.label} cannot be given beside ${name}, which stands for it: leave one of them out`,
      );
    }
  }
  return replaced;
}

function entriesOf(schema: Schema, values: Record<string, unknown>): Entry[] {
  return Object.entries(values).flatMap(([section, settings = {}]) => {
    requireSection(schema, section, "settings");
    if (!isRecord(settings)) {
      throw new UserError(`${section} is ${shown(settings)}; expected settings by name`);
    }
    return Object.entries(settings).filter(([, value]) => value !== undefined)
      .map(([key, value]) => {
        const name = `${section}.${key}`;
        requireKnown(schema, name, "settings");
        return { name, value, label: name };
      });
  });
}

async function readFile(schema: Schema, path: string | URL): Promise<Entry[]> {
  const source = fileName(path);
  const text = await fileText(typeof path === "string" ? path : fileURLToPath(path));
  const file = parseYamlFile(text, source);

  const entries: Entry[] = [];
  if (file.contents === null) return entries;
  for (const section of pairsOf(file.contents, source, "sections")) {
    const where = file.placeOf(section.offset);
    requireSection(schema, section.key, where);
    if (section.value === null || (isScalar(section.value) && section.value.value === null)) {
      continue;
    }
    for (const { key, value, offset } of pairsOf(section.value, where, "settings")) {
      const name = `${section.key}.${key}`;
      const place = file.placeOf(offset);
      requireKnown(schema, name, place);
      entries.push({ name, value: file.valueOf(value), label: `${place}: ${name}` });
    }
  }
  return entries;
}

/** The keys of a YAML mapping with their values, and where in the file each stands. */
function pairsOf(node: ParsedNode | null, where: string, what: string) {
  if (!isMap<ParsedNode, ParsedNode | null>(node)) {
    throw new UserError(`${where}: expected ${what}, as "name: value" lines`);
  }
  return node.items.map(({ key, value }) => ({
    key: String(key),
    value,
    offset: key.range[0],
  }));
}

function readArguments(schema: Schema, argv: string[]): { configs: string[]; entries: Entry[] } {
  const fields = fieldsByName(schema);
  const takesValue = { type: "string" } as const;
  const { tokens } = parseArgs({
    args: argv,
    strict: false,
    tokens: true,
    options: Object.fromEntries(["config", ...fields.keys()].map((name) => [name, takesValue])),
  });

  const configs: string[] = [];
  const entries = new Map<string, Entry>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      throw new UserError(
        `unexpected argument "${token.value}"; settings are given as --section.key=value`,
      );
    }
    const { name, value } = token;
    const label = token.rawName;
    if (name !== "config") requireKnown(schema, name, label);
    const field = fields.get(name);
    if (value === undefined || (!token.inlineValue && value.startsWith("--"))) {
      throw new UserError(`${label} needs a value: ${field?.expected ?? "a YAML file"}`);
    }
    if (field === undefined) {
      configs.push(value);
    } else if (field.isList) {
      const before = entries.get(name)?.value ?? [];
      entries.set(name, { name, value: [before, value].flat(), label });
    } else {
      entries.set(name, { name, value: field.parse(value), label });
    }
  }
  return { configs, entries: [...entries.values()] };
}

function requireSection(schema: Schema, name: string, where: string): void {
  if (Object.hasOwn(schema, name)) return;
  throw new UserError(
    `${where}: unknown section "${name}"${didYouMean(name, Object.keys(schema))}`,
  );
}

function requireKnown(schema: Schema, name: string, where: string): void {
  const fields = fieldsByName(schema);
  if (fields.has(name)) return;
  const hint = didYouMean(name, [...fields.keys()]);
  throw new UserError(`${where}: unknown setting "${name}"${hint} (--help lists all)`);
}

/** The fields under their full names, `section.key`. */
function fieldsByName(schema: Schema): Map<string, Field<unknown>> {
  return new Map(
    Object.entries(schema).flatMap(([section, fields]) =>
      Object.entries(fields).map(([key, field]) => [`${section}.${key}`, field] as const)
    ),
  );
}

function fileName(path: string | URL): string {
  return typeof path === "string" ? path : decodeURIComponent(path.pathname.split("/").pop() ?? "");
}

function inHelp(value: unknown): string {
  if (value === undefined) return "not set";
  const text = Array.isArray(value) ? value.join(", ") || "none" : String(value);
  return text.replaceAll("\n", "\\n");
}
