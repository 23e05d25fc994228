/** Ways to damage a file. Each draws what it does from a seeded generator, so that it can be had again. */
import type { Random } from "../../data/random.ts";

/**
 * What a file is to a mutator: text is also bytes, JSON also text. `lines` is JSON lines;
 * `safetensors` is bytes with a JSON header behind its length.
 */
export type Content = "bytes" | "text" | "yaml" | "json" | "lines" | "safetensors";

/** What stands in the file's place: other bytes, a folder, or nothing at all. */
export type Damage = Uint8Array | "folder" | "nothing";

type Mutator = (file: Uint8Array, random: Random) => Damage;

/** The mutators of each content, by name. */
const MUTATORS: Record<Content | "every", Record<string, Mutator>> = {
  every: {
    empty: () => new Uint8Array(),
    folder: () => "folder",
    nothing: () => "nothing",
  },
  bytes: {
    "flip bits": flipBits,
    truncate: (file, random) => file.slice(0, random.below(file.length)),
    "insert bytes": (file, random) => {
      const inserted = Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256));
      return insert(file, random.below(file.length + 1), inserted);
    },
    "delete bytes": (file, random) => {
      const { start, end } = slice(file, random, 64);
      return insert(file.subarray(0, start), start, file.subarray(end));
    },
    splice: (file, random) => {
      const { start, end } = slice(file, random, 256);
      const spliced = file.slice();
      spliced.copyWithin(random.below(file.length), start, end);
      return spliced;
    },
    "repeat a block": (file, random) => {
      const { start, end } = slice(file, random, Math.ceil(file.length / 2));
      return insert(file, end, file.subarray(start, end));
    },
    "overwrite by zeros": (file, random) => {
      const { start, end } = slice(file, random, 256);
      return file.slice().fill(0, start, end);
    },
  },
  text: {
    "CRLF": onText((text) => text.replaceAll("\n", "\r\n")),
    "CR": onText((text) => text.replaceAll("\n", "\r")),
    "byte order mark": (file) => insert(file, 0, Uint8Array.of(0xEF, 0xBB, 0xBF)),
    "UTF-16": (file) => utf16(new TextDecoder().decode(file)),
    "invalid UTF-8": (file, random) => insertOneOf(file, random, INVALID_UTF8),
    NUL: (file, random) =>
      insertOneOf(file, random, ["\0", "\0\0\0\0", "\u2028", "\uFEFF", "\u202E"]),
    "huge number": onText((text, random) => {
      const numbers = [...text.matchAll(/-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/g)];
      if (numbers.length === 0) return text;
      const { index, 0: { length } } = pick(numbers, random);
      return text.slice(0, index) + pick(NUMBERS, random) + text.slice(index + length);
    }),
    "deep nesting": (file, random) => {
      const depth = 10 ** (3 + random.below(3));
      return insertOneOf(file, random, [
        "[".repeat(depth),
        '{"a":'.repeat(depth),
        "- ".repeat(depth),
      ]);
    },
    "one long line": (file, random) => insertOneOf(file, random, ["a".repeat(3_000_000)]),
    "swap lines": onLines((lines, random) => {
      const [a, b] = [random.below(lines.length), random.below(lines.length)];
      [lines[a], lines[b]] = [lines[b], lines[a]];
    }),
    "repeat a line": onLines((lines, random) => {
      const line = random.below(lines.length);
      lines.splice(line, 0, ...new Array(1 + random.below(3)).fill(lines[line]));
    }),
    "delete a line": onLines((lines, random) => void lines.splice(random.below(lines.length), 1)),
  },
  yaml: {
    "a cycle": onText((text, random) => withValue(text, "&cycle [*cycle]", random)),
    "many aliases": onText((text, random) => {
      const levels = Array.from(
        { length: 12 },
        (_, i) => `l${i + 1}: &l${i + 1} [${new Array(9).fill(`*l${i}`).join(", ")}]`,
      );
      return `l0: &l0 [a]\n${levels.join("\n")}\n${withValue(text, "*l12", random)}`;
    }),
    "another type": onText((text, random) =>
      withValue(text, JSON.stringify(pick(VALUES, random)), random)
    ),
    "a tag": onText((text, random) => withValue(text, pick(TAGGED, random), random)),
  },
  json: {
    "another type": onJson((json, random) => edited(json, random, () => pick(VALUES, random))),
    "delete a key": onJson((json, random) => edited(json, random, () => undefined)),
    "rename a key": onJson((json, random) => renamed(json, random)),
    "a path out of the folder": onJson(escaped),
  },
  lines: {
    "another type": onOneLine((json, random) => edited(json, random, () => pick(VALUES, random))),
    "delete a key": onOneLine((json, random) => edited(json, random, () => undefined)),
    "rename a key": onOneLine((json, random) => renamed(json, random)),
  },
  safetensors: {
    "another type": onHeader((json, random) => edited(json, random, () => pick(VALUES, random))),
    "delete a key": onHeader((json, random) => edited(json, random, () => undefined)),
    "rename a key": onHeader((json, random) => renamed(json, random)),
    "not a number": (file, random) => {
      const damaged = file.slice();
      const start = dataStart(file) +
        4 * random.below(Math.max(1, (file.length - dataStart(file)) >> 2));
      const value = pick([NaN, Infinity, -Infinity, 3e38], random);
      if (start + 4 <= file.length) new DataView(damaged.buffer).setFloat32(start, value, true);
      return damaged;
    },
  },
};

/** Of each content, which others it also is. */
const ALSO: Record<Content, Content[]> = {
  bytes: ["bytes"],
  text: ["bytes", "text"],
  yaml: ["bytes", "text", "yaml"],
  json: ["bytes", "text", "json"],
  lines: ["bytes", "text", "lines"],
  safetensors: ["bytes", "safetensors"],
};

/** Where the mutator of {@linkcode Damage} put a path that leads out of the folder. */
export const ESCAPE = "a path out of the folder";

/** Damages a file in a way that it is drawn; it always differs from what it was. */
export function damage(
  file: Uint8Array,
  content: Content,
  random: Random,
): { mutator: string; damage: Damage } {
  const mutators = [
    ...Object.entries(MUTATORS.every).map((entry) => ({ entry, weight: 1 })),
    ...ALSO[content].flatMap((kind) =>
      Object.entries(MUTATORS[kind]).map((entry) => ({ entry, weight: 4 }))
    ),
  ].flatMap(({ entry, weight }) => new Array(weight).fill(entry) as (typeof entry)[]);
  while (true) {
    const [mutator, mutate] = pick(mutators, random);
    const damaged = mutate(file, random);
    if (typeof damaged === "string" || !isEqual(damaged, file)) return { mutator, damage: damaged };
  }
}

const INVALID_UTF8 = [[0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [
  0xE6,
  0x98,
]]
  .map((bytes) => Uint8Array.from(bytes));

const NUMBERS = [
  "1e308",
  "1e999",
  "-1",
  "0",
  "1.5",
  "NaN",
  "Infinity",
  "9".repeat(400),
  "2147483648",
]
  .concat(["9007199254740993", "18446744073709551616", "1e12", "1e-320", "0x10", "1_000", "007"]);

/** Values that stand where others are expected. */
const VALUES: unknown[] = [
  ...[
    null,
    {},
    [],
    "",
    true,
    "constructor",
    "__proto__",
    "toString",
    1e308,
    -1,
    0,
    1.5,
    1e12,
    2 ** 53,
  ],
  ...[
    "<script>alert(1)</script>",
    "| ` ** [a](b)\n\n# x",
    "x".repeat(100_000),
    "\ud800",
    "../../x",
    "/",
  ],
  ...[[null], [[[]]], { length: 1e9 }, { toString: 1 }, { constructor: null }, "(a+)+$", "NaN"],
  nested(2000),
];

const TAGGED = [
  "!!binary aGVsbG8=",
  "!!set {a}",
  "!!timestamp 2001-12-14",
  "!!js/function 'f'",
  "<<: *none",
]
  .concat([
    "? [a]\n: b",
    "0o17",
    "12:30:45",
    "*undefined",
    "!!float .nan",
    "|\n  text",
    "yes",
    "~",
  ]);

function nested(depth: number): unknown {
  let value: unknown = "deep";
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

function flipBits(file: Uint8Array, random: Random): Uint8Array {
  const flipped = file.slice();
  for (let left = 1 + random.below(4); left > 0; left--) {
    flipped[random.below(file.length)] ^= 1 << random.below(8);
  }
  return flipped;
}

/** Where a piece of at most so many bytes lies, and no more than half of the file. */
function slice(file: Uint8Array, random: Random, longest: number): { start: number; end: number } {
  const length = 1 + random.below(Math.max(1, Math.min(longest, file.length >> 1)));
  const start = random.below(Math.max(1, file.length - length + 1));
  return { start, end: start + length };
}

function insert(file: Uint8Array, at: number, inserted: Uint8Array): Uint8Array {
  const longer = new Uint8Array(file.length + inserted.length);
  longer.set(file.subarray(0, at));
  longer.set(inserted, at);
  longer.set(file.subarray(at), at + inserted.length);
  return longer;
}

function insertOneOf(
  file: Uint8Array,
  random: Random,
  choices: (string | Uint8Array)[],
): Uint8Array {
  const choice = pick(choices, random);
  const bytes = typeof choice === "string" ? new TextEncoder().encode(choice) : choice;
  return insert(file, random.below(file.length + 1), bytes);
}

function utf16(text: string): Uint8Array {
  return new Uint8Array(Uint16Array.from("\uFEFF" + text, (unit) => unit.charCodeAt(0)).buffer);
}

function onText(edit: (text: string, random: Random) => string): Mutator {
  return (file, random) => new TextEncoder().encode(edit(new TextDecoder().decode(file), random));
}

function onLines(edit: (lines: string[], random: Random) => void): Mutator {
  return onText((text, random) => {
    const lines = text.split("\n");
    edit(lines, random);
    return lines.join("\n");
  });
}

/** A random value of YAML replaced by this text. */
function withValue(text: string, value: string, random: Random): string {
  const places = [...text.matchAll(/(?<=: )[^\n{}[\],#]+/g)];
  if (places.length === 0) return text + `\nadded: ${value}\n`;
  const { index, 0: { length } } = pick(places, random);
  return text.slice(0, index) + value + text.slice(index + length);
}

type Edit = (json: unknown, random: Random) => unknown;

function onJson(edit: Edit): Mutator {
  return onText((text, random) => JSON.stringify(edit(JSON.parse(text), random)) ?? "");
}

function onOneLine(edit: Edit): Mutator {
  return onText((text, random) => {
    const lines = text.trimEnd().split("\n");
    const line = random.below(lines.length);
    lines[line] = JSON.stringify(edit(JSON.parse(lines[line]), random)) ?? "";
    return lines.join("\n") + "\n";
  });
}

/** The header is edited and its length made right again; the data stay. */
function onHeader(edit: Edit): Mutator {
  return (file, random) => {
    const start = dataStart(file);
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start)));
    const text = new TextEncoder().encode(JSON.stringify(edit(header, random)) ?? "");
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
    return insert(insert(length, 8, text), 8 + text.length, file.subarray(start));
  };
}

function dataStart(file: Uint8Array): number {
  return 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
}

/**
 * JSON in which one value is another, or is left out if that is undefined. The way down is drawn key
 * by key, so that what stands near the top is met as often as the many values of a long list.
 */
function edited(json: unknown, random: Random, replacement: () => unknown): unknown {
  const keys = typeof json === "object" && json !== null ? Object.keys(json) : [];
  if (keys.length === 0 || random.below(4) === 0) return replacement();
  const key = pick(keys, random);
  const value = edited((json as Record<string, unknown>)[key], random, replacement);
  if (Array.isArray(json)) {
    return value === undefined ? json.toSpliced(Number(key), 1) : json.with(Number(key), value);
  }
  const entries = Object.entries(json as object)
    .map(([name, old]) => [name, name === key ? value : old])
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

function renamed(json: unknown, random: Random): unknown {
  const name = pick(["__proto__", "constructor", "hasOwnProperty", "", "added"], random);
  return edited(json, random, () => Object.fromEntries([[name, pick(VALUES, random)]]));
}

/** A text in JSON leads to the pristine copies beside the folder instead. */
function escaped(json: unknown, random: Random): unknown {
  const texts: string[] = [];
  JSON.stringify(json, (_, value) => (typeof value === "string" && texts.push(value), value));
  if (texts.length === 0) return json;
  const text = pick(texts, random);
  return JSON.parse(
    JSON.stringify(json),
    (_, value) => value === text ? `../pristine/${text}` : value,
  );
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)];
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
