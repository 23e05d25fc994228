import { assert, assertEquals, assertThrows } from "@std/assert";
import { firstOfEachGroup } from "../../data/cleaning/near-duplicates.ts";
import type { Deduplicator } from "../../data/operators/operator.ts";
import { createOperator, parseRecipe, prepareSteps } from "../../data/recipe.ts";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { readJsonLines } from "./fixtures.ts";

/** A document on its way through the text recipe, as Data-Juicer takes it. */
interface PipelineCase {
  input: string;
  /** Only mappers that changed the text are listed, and every filter. */
  steps: { op: string; output?: string; stat?: number; keep?: boolean }[];
  mapped: string;
}

Deno.test("the text recipe's operators do what Data-Juicer's do, one after another", async () => {
  const [{ process, dedup_all }, ...documents] = await readJsonLines<
    PipelineCase & {
      process: { op: string; params: Record<string, unknown> }[];
      dedup_all: { hashes: string[]; kept: number[] };
    }
  >("pipeline.jsonl");
  const steps = process.map(({ op, params }) => ({ op, operator: createOperator(op, params, {}) }));
  const hashes: bigint[] = [];
  for (const document of documents) {
    let text = document.input;
    const taken: PipelineCase["steps"] = [];
    for (const { op, operator } of steps) {
      if (operator.kind === "deduplicator") {
        hashes.push(operator.fingerprint(text));
      } else if (operator.kind === "filter") {
        const stat = operator.measure(text);
        taken.push({ op, stat, keep: operator.min <= stat && stat <= operator.max });
      } else {
        const output = operator.map(text);
        if (output !== text) taken.push({ op, output });
        text = output;
      }
    }
    const expected = document.steps.map(({ op, output, stat, keep }) =>
      output === undefined ? { op, stat, keep } : { op, output }
    );
    assertEquals(taken, expected);
    assertEquals(text, document.mapped);
  }
  assertEquals(hashes.map(String), dedup_all.hashes);
  const words = new Uint32Array(BigUint64Array.from(hashes).buffer);
  const settings = { distance: 4, blocks: 6, keepEmpty: false };
  const kept = firstOfEachGroup({ length: hashes.length, chunks: () => [words] }, settings);
  assertEquals([...kept.keys()].filter((i) => kept[i] === 1), dedup_all.kept);
});

Deno.test("a recipe is read as Data-Juicer writes it, the keys of its runs set aside", () => {
  const recipe = parseRecipe(
    "project_name: x\nnp: 4\ntext_keys: content\nprocess:\n  - clean_email_mapper\n" +
      "  - clean_ip_mapper:\n  - text_length_filter: { min_len: 2, num_cpus: 3 }\n",
    "recipe.yaml",
  );
  assertEquals(recipe, {
    textKey: "content",
    steps: [
      { name: "clean_email_mapper", arguments: {} },
      { name: "clean_ip_mapper", arguments: {} },
      { name: "text_length_filter", arguments: { min_len: 2, num_cpus: 3 } },
    ],
    ignored: ["project_name", "np"],
    path: "recipe.yaml",
  });
  assertEquals(prepareSteps(recipe.steps, {}).map(({ operator }) => operator?.kind), [
    "mapper",
    "mapper",
    "filter",
  ]);
});

Deno.test("a bad recipe is refused with what is wrong and what there is", () => {
  const refusals: [yaml: string, message: string][] = [
    ["process: [", "r.yaml:1: not valid YAML"],
    ["process:\n- text_length_filter: &p { min_len: *p }", "a value contains itself"],
    ["process: [!!python/name:os.system '']", "Unresolved tag"],
    ["process: " + "[".repeat(100_000), "not valid YAML: it is nested too deeply"],
    ["steps: []", 'must have a list "process"'],
    ["process: [{ a: {}, b: {} }]", "r.yaml, operator 1: expected an operator's name"],
    [
      "process: [{ clean_ip_mapper: { text_key: content } }]",
      "set text_keys of the recipe instead",
    ],
    ["process: [text_lenght_filter]", 'did you mean "text_length_filter"?'],
    ["process: [{ text_length_filter: { minlen: 3 } }]", 'has no argument "minlen"; did you mean'],
    [
      "process: [{ text_length_filter: { min_len: ten } }]",
      'min_len is "ten": it must be a number',
    ],
    ["process: [{ fix_unicode_mapper: { normalization: NFX } }]", "must be one of NFC"],
    ["process: [{ clean_email_mapper: { pattern: '(' } }]", "is not a regular expression"],
    ["process: [{ document_simhash_deduplicator: { tokenization: no } }]", "tokenization"],
    ["process: [{ document_simhash_deduplicator: { tokenization: toString } }]", "must be one of"],
    ["process: [{ document_simhash_deduplicator: { num_blocks: 6.5 } }]", "whole numbers"],
    [
      "process: [{ document_simhash_deduplicator: { num_blocks: 64, hamming_distance: 32 } }]",
      "at most 10000 ways",
    ],
    ["process: [{ chinese_convert_mapper: { mode: toString } }]", "must be one of s2t"],
    ["process: [benchmark_questions_filter]", "give benchmarks' folders"],
    ["process: [{ text_length_filter: { min_len: .nan } }]", "it must be a number"],
    ["process: [{ alphanumeric_filter: { tokenization: n } }]", "it must be true or false"],
    ["process: [{ clean_email_mapper: { pattern: [a] } }]", 'pattern is ["a"]: it must be text'],
    ["process: [{ clean_email_mapper: { repl: null } }]", "repl is null: it must be text"],
    ["process: [{ clean_links_mapper: { repl: '\\1' } }]", "it must be a plain text"],
    ["process: [{ clean_ip_mapper: { pattern: '[\\W]' } }]", "\\W between [ and ] is not known"],
    [
      "process: [{ remove_specific_chars_mapper: { chars_to_remove: null } }]",
      "it must be text or a list of texts",
    ],
  ];
  for (const [yaml, message] of refusals) {
    const prepared = () => prepareSteps(parseRecipe(yaml, "r.yaml").steps, {}, "r.yaml");
    const error = assertThrows(prepared, UserError, message);
    assert(error.message.startsWith("r.yaml"), error.message);
    assert(error.message.length <= 3100);
  }
});

Deno.test("a recipe is YAML 1.1, as PyYAML reads it", () => {
  const recipe = parseRecipe(
    "lengths: &lengths\n  min_len: 3\ntext_keys: [content, output]\nprocess:\n" +
      "  - text_length_filter:\n      <<: *lengths\n      max_len: 1_000_000\n" +
      "  - alphanumeric_filter: { tokenization: no, min_ratio: 0.0 }\n" +
      "  - remove_specific_chars_mapper: { chars_to_remove: [y, N] }\n",
    "recipe.yaml",
  );
  assertEquals(recipe.textKey, "content");
  assertEquals(recipe.ignored, ["lengths", "text_keys (but for the first, content)"]);
  assertEquals(recipe.steps.map((step) => step.arguments), [
    { min_len: 3, max_len: 1e6 },
    { tokenization: false, min_ratio: 0 },
    { chars_to_remove: ["y", "N"] },
  ]);
  assertEquals(prepareSteps(recipe.steps, {}).length, 3);
});

Deno.test("a pattern matches what it matches in Python", () => {
  const removals: [pattern: string, text: string, left: string][] = [
    ["\\d+", "1２٣a", "a"],
    ["\\w+@[\\w.]+", "中文@名.é!", "!"],
    ["\\b1\\d{3}\\b", "电话1380 1380", "电话1380 "],
    ["[^\\s,]+", "a\u3000\x85,\uFEFF", "\u3000\x85,"],
    ['[]\\-"]', 'a]-"[', "a["],
    ["[a[]b[\\]c]", "ab] [bc []", "  []"],
    ["a$", "aba\n", "ab\n"],
    ["(?P<mark>#)\\1.", "##\n#", "#"],
    ["r'(?i)AB'", "xaB", "x"],
  ];
  for (const [pattern, text, left] of removals) {
    const operator = createOperator("clean_ip_mapper", { pattern }, {});
    assertEquals(operator.kind === "mapper" && operator.map(text), left, pattern);
  }
  // Where Data-Juicer does not say otherwise, a line feed is not matched by a dot.
  const fingerprint = (ignore_pattern: string, text: string) => {
    const values = { tokenization: "character", ignore_pattern };
    return (createOperator("document_simhash_deduplicator", values, {}) as Deduplicator)
      .fingerprint(text);
  };
  assertEquals(
    fingerprint("http.*", "https://a.b\na page's line"),
    fingerprint("", "\na page's line"),
  );
});

Deno.test("an operator that wants a model is left out with the reason", () => {
  const steps = [{ name: "perplexity_filter", arguments: { lang: "zh", max_ppl: 1500 } }];
  assertEquals(prepareSteps(steps, {}), [
    {
      name: "perplexity_filter",
      missing:
        "it needs a model (--perplexity-model and --sentencepiece) or good text to make one of " +
        "(--perplexity-reference)",
    },
  ]);
});
