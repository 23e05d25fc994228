import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import { cutIntoBlocks, ShuffledBlocks } from "../../data/blocks.ts";

const tokens = Int32Array.from({ length: 103 }, (_, i) => i);

function take(source: ShuffledBlocks, count: number): number[] {
  return Array.from({ length: count }, () => source.next()[0]);
}

Deno.test("blocks: they follow one another, and the remainder is left out", () => {
  const blocks = cutIntoBlocks(tokens, 10, "the corpus");
  assertEquals(blocks.length, 10);
  assertEquals([...blocks[9]], [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
});

Deno.test("blocks: each once an epoch, in another order every epoch", () => {
  const source = new ShuffledBlocks(cutIntoBlocks(tokens, 10, "the corpus"), 3407, "numbers");
  const [first, second] = [take(source, 10), take(source, 10)];
  const sorted = (order: number[]) => order.toSorted((a, b) => a - b);
  assertEquals(sorted(first), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  assertEquals(sorted(second), sorted(first));
  assertNotEquals(second, first);
});

Deno.test("blocks: a saved position gives the same blocks again", () => {
  const blocks = cutIntoBlocks(tokens, 10, "the corpus");
  for (const taken of [0, 7, 10, 23]) {
    const source = new ShuffledBlocks(blocks, 1, "numbers");
    take(source, taken);
    const saved = JSON.parse(JSON.stringify(source.position()));
    const resumed = new ShuffledBlocks(blocks, 1, "numbers");
    resumed.seek(saved);
    assertEquals(take(resumed, 15), take(source, 15));
  }
});

Deno.test("blocks: a position in another text is refused", () => {
  const blocks = cutIntoBlocks(tokens, 10, "the corpus");
  const saved = new ShuffledBlocks(blocks, 1, "numbers").position();
  const other = new ShuffledBlocks(blocks, 1, "letters");
  assertThrows(() => other.seek(saved), UserError, "not the text that the run was started with");
});

Deno.test("blocks: too little text for one block is refused with the figures", () => {
  assertThrows(
    () => cutIntoBlocks(tokens, 129, "the corpus"),
    UserError,
    "the corpus has only 103 tokens, but one block takes 129 (data.sequence 128 and one more)",
  );
  assertThrows(() => cutIntoBlocks(new Int32Array(), 2, "the corpus"), UserError, "is empty");
});
