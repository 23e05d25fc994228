import { assertEquals } from "@std/assert";
import { firstOfEachGroup } from "../../data/cleaning/near-duplicates.ts";
import type { Deduplicator, Filter, Mapper } from "../../data/operators/operator.ts";
import { createOperator } from "../../data/recipe.ts";
import { readJsonLines } from "./fixtures.ts";

/** Data-Juicer's outputs for one operator with certain arguments. */
interface OperatorCase {
  operator: string;
  name: string;
  params: Record<string, unknown>;
  /** Texts, or "shared" for those of filter-inputs.jsonl. */
  input: string[] | "shared";
  /** Of mappers the texts that came out, else the texts that stayed. */
  expected?: string[];
  /** Outputs, by input, that a parser of WHATWG HTML gives where Data-Juicer's does not. */
  whatwgParserDiffers?: Record<number, string>;
  statistic?: string;
  statistics?: number[];
  /** Of filters whether each text stays, of the deduplicator the indices of those that do. */
  kept?: boolean[] | number[];
  hashes?: string[];
  april2024Hashes?: string[];
  april2024Kept?: number[];
}

const cases = await readJsonLines<OperatorCase>("operators.jsonl");
const sharedInputs = await readJsonLines<string>("filter-inputs.jsonl");

for (const operator of new Set(cases.map((fixture) => fixture.operator))) {
  Deno.test(`${operator} does what Data-Juicer's does`, () => {
    for (const fixture of cases.filter((fixture) => fixture.operator === operator)) {
      check(fixture);
    }
  });
}

Deno.test("arguments that are not Data-Juicer's do what steel-zh wants of them", () => {
  const punctuation = createOperator("fix_unicode_mapper", { keep_punctuation: true }, {});
  assertEquals((punctuation as Mapper).map("“Ａ１，”（　ｶ！）：；？～"), "“A1，”（ カ！）：；？～");
  const measure = (name: string, values: Record<string, unknown>, text: string) =>
    (createOperator(name, { ...values, split_han: true }, {}) as Filter).measure(text);
  assertEquals(measure("words_num_filter", {}, "今天good，天气 fine"), 6);
  assertEquals(measure("word_repetition_filter", { rep_len: 2 }, "今天，今天 a"), 2 / 4);
});

Deno.test("document_deduplicator compares texts, or their letters without case", () => {
  const hash = (text: string, values: Record<string, unknown> = {}) =>
    (createOperator("document_deduplicator", values, {}) as Deduplicator).fingerprint(text);
  const folded = { lowercase: true, ignore_non_character: true };
  // The first half of the MD5 of "abc", as two little-endian words.
  assertEquals(hash("abc"), 0xb04fd23c98500190n);
  assertEquals(hash("Ａ b1_、\n中٣", folded), hash("ａB_中", folded));
  assertEquals(new Set(["abc", "abc ", "Abc", ""].map((text) => hash(text))).size, 4);
});

function check(fixture: OperatorCase): void {
  const operator = createOperator(fixture.operator, fixture.params, {});
  const input = fixture.input === "shared" ? sharedInputs : fixture.input;
  if (operator.kind === "mapper") checkMapper(operator, fixture, input);
  else if (operator.kind === "filter") checkFilter(operator, fixture, input);
  else checkDeduplicator(operator, fixture, input);
}

function checkMapper(operator: Mapper, fixture: OperatorCase, input: string[]): void {
  input.forEach((text, i) => {
    const expected = fixture.whatwgParserDiffers?.[i] ?? fixture.expected![i];
    assertEquals(operator.map(text), expected, `${fixture.name}, ${JSON.stringify(text)}`);
  });
}

function checkFilter(operator: Filter, fixture: OperatorCase, input: string[]): void {
  assertEquals(operator.statistic, fixture.statistic);
  input.forEach((text, i) => {
    const measure = operator.measure(text);
    const place = `${fixture.name}, ${JSON.stringify(text)}`;
    assertEquals(measure, fixture.statistics![i], place);
    assertEquals(operator.min <= measure && measure <= operator.max, fixture.kept![i], place);
  });
}

function checkDeduplicator(operator: Deduplicator, fixture: OperatorCase, input: string[]): void {
  const hashes = input.map((text) => operator.fingerprint(text));
  const kept = keptIndices(hashes, operator);
  if (fixture.expected !== undefined) {
    assertEquals(kept.map((i) => input[i]), fixture.expected, fixture.name);
    return;
  }
  assertEquals(hashes.map(String), fixture.hashes, fixture.name);
  assertEquals(kept, fixture.kept, fixture.name);
  const params = { ...fixture.params, april_2024: true };
  const april = createOperator(fixture.operator, params, {}) as Deduplicator;
  const aprilHashes = input.map((text) => april.fingerprint(text));
  assertEquals(aprilHashes.map(String), fixture.april2024Hashes, fixture.name);
  assertEquals(keptIndices(aprilHashes, april), fixture.april2024Kept, fixture.name);
}

function keptIndices(
  hashes: bigint[],
  settings: { distance: number; blocks: number; keepEmpty: boolean },
): number[] {
  const words = new Uint32Array(BigUint64Array.from(hashes).buffer);
  const kept = firstOfEachGroup({ length: hashes.length, chunks: () => [words] }, settings);
  return Array.from(kept.keys()).filter((i) => kept[i] === 1);
}
