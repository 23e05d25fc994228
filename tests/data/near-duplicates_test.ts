import { assert, assertEquals } from "@std/assert";
import { firstOfEachGroup } from "../../data/cleaning/near-duplicates.ts";
import { Random } from "../../data/random.ts";

/** Hashes of two words each, the low one first; a third are up to nine bits from an earlier one. */
function someHashes(count: number): Uint32Array {
  const random = new Random(1);
  const hashes = Uint32Array.from({ length: 2 * count }, () => random.uint32());
  for (let i = 1; i < count; i++) {
    if (random.below(3) > 0) continue;
    const earlier = random.below(i);
    hashes.copyWithin(2 * i, 2 * earlier, 2 * earlier + 2);
    for (let flips = random.below(10); flips > 0; flips--) {
      const bit = random.below(64);
      hashes[2 * i + (bit >> 5)] ^= 1 << (bit & 31);
    }
  }
  hashes.fill(0, 2 * count - 20);
  return hashes;
}

/** Which documents stay, found by comparing each with each. */
function byEveryPair(hashes: Uint32Array, distance: number, keepEmpty: boolean): number[] {
  const groups = Array.from({ length: hashes.length / 2 }, (_, i) => i);
  const isEmpty = (i: number) => hashes[2 * i] === 0 && hashes[2 * i + 1] === 0;
  for (let i = 0; i < groups.length; i++) {
    for (let k = 0; k < i; k++) {
      if (keepEmpty && (isEmpty(i) || isEmpty(k)) || groups[i] === groups[k]) continue;
      const bits = [0, 1].map((word) => (hashes[2 * i + word] ^ hashes[2 * k + word]) >>> 0)
        .map((word) => word.toString(2).replaceAll("0", "").length);
      if (bits[0] + bits[1] > distance) continue;
      const [from, to] = [Math.max(groups[i], groups[k]), Math.min(groups[i], groups[k])];
      groups.forEach((group, j) => group === from && (groups[j] = to));
    }
  }
  return groups.map((group, i) => group === i ? 1 : 0);
}

Deno.test("of each group of near hashes the first stays, however few are held at once", () => {
  const hashes = someHashes(400);
  const fingerprints = {
    length: 400,
    *chunks() {
      for (let at = 0; at < hashes.length; at += 96) yield hashes.subarray(at, at + 96);
    },
  };
  for (const [distance, blocks] of [[0, 1], [4, 6], [8, 10]]) {
    for (const keepEmpty of [false, true]) {
      const expected = byEveryPair(hashes, distance, keepEmpty);
      assert(expected.includes(0) && expected.includes(1));
      for (const heldAtOnce of [undefined, 50]) {
        const settings = { distance, blocks, keepEmpty, heldAtOnce };
        assertEquals([...firstOfEachGroup(fingerprints, settings)], expected);
      }
    }
  }
});
