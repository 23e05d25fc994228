import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../kernels/runtime/user-error.ts";
import type { FloatDtype } from "../../model/checkpoint/safetensors-header.ts";
import { openSafetensors } from "../../model/host/open-checkpoint.ts";
import { writeSafetensors } from "../../model/host/write-safetensors.ts";

/** A file with this header and this many bytes of data, all zero. */
async function handMade(header: string, dataSize: number, claimed?: bigint): Promise<string> {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataSize);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return await withBytes(bytes);
}

async function withBytes(bytes: Uint8Array): Promise<string> {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  await Deno.writeFile(path, bytes);
  return path;
}

/** What is read back after writing the values in a dtype. */
async function roundTrip(values: Float32Array, dtype: FloatDtype): Promise<Float32Array> {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  await writeSafetensors(path, [{ name: "x", shape: [values.length], dtype }], () => values);
  using file = await openSafetensors(path);
  const read = await file.readFloat32("x");
  await Deno.remove(path);
  return read;
}

/** Every finite value of a 16-bit format with these many fraction bits, by its bits, in float64. */
function valueOf(bits: number, fractionBits: number): number {
  const exponentBits = 15 - fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >>> 15 ? -1 : 1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

for (const [dtype, fractionBits] of [["F16", 10], ["BF16", 7]] as const) {
  Deno.test(`every ${dtype} value survives, and what lies between goes to the nearest, ties to even`, async () => {
    const exact = Float32Array.from({ length: 65536 }, (_, bits) => valueOf(bits, fractionBits));
    assertEquals(await roundTrip(exact, dtype), exact);

    // Between each pair of neighbours: the middle, and a float32 just below and above it.
    const values: number[] = [];
    const expected: number[] = [];
    const infinity = ((2 ** (15 - fractionBits)) - 1) << fractionBits;
    for (let bits = 0; bits < infinity - 1; bits += 7) {
      const [low, high] = [valueOf(bits, fractionBits), valueOf(bits + 1, fractionBits)];
      const middle = (low + high) / 2;
      const nudge = (high - low) / 64;
      values.push(middle - nudge, middle, middle + nudge);
      expected.push(low, bits % 2 === 0 ? low : high, high);
    }
    const largest = valueOf(infinity - 1, fractionBits);
    const halfStep = largest * 2 ** -(fractionBits + 2);
    values.push(largest + halfStep / 2, largest + 2 * halfStep, -largest - 2 * halfStep);
    expected.push(largest, Infinity, -Infinity);
    assertEquals(await roundTrip(Float32Array.from(values), dtype), Float32Array.from(expected));
  });
}

Deno.test("a NaN stays a NaN whatever its payload", async () => {
  const payloads = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff, 0x7fc00000).buffer);
  for (const dtype of ["F16", "BF16"] as const) {
    assertEquals(await roundTrip(payloads, dtype), Float32Array.of(NaN, NaN, NaN));
  }
});

Deno.test("tensors of odd sizes and mixed types share a file", async () => {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  const shapes = { half: [3, 1, 5], scalar: [], none: [0, 4], brain: [7], full: [3] };
  const dtypes = { half: "F16", scalar: "F32", none: "BF16", brain: "BF16", full: "F32" } as const;
  const names = ["half", "scalar", "none", "brain", "full"] as const;
  const data: Record<string, Float32Array> = {
    half: Float32Array.from({ length: 15 }, (_, i) => i / 4 - 2),
    scalar: Float32Array.of(1 / 3),
    none: new Float32Array(0),
    brain: Float32Array.of(1, -2, 0.5, 3, 1.5, -0, 256),
    full: Float32Array.of(1e-45, Math.PI, -1e38),
  };
  await writeSafetensors(
    path,
    names.map((name) => ({ name, shape: shapes[name], dtype: dtypes[name] })),
    (name) => Promise.resolve(data[name]),
  );
  using file = await openSafetensors(path);
  // Without it, transformers refuses the file.
  assertStringIncludes(await Deno.readTextFile(path), '"__metadata__":{"format":"pt"}');
  const read = await Promise.all(names.map((name) => file.readFloat32(name)));
  names.forEach((name, i) => {
    assertEquals(read[i], data[name]);
    assertEquals(file.info(name).shape, shapes[name]);
    assertEquals(file.info(name).begin % (dtypes[name] === "F32" ? 4 : 2), 0);
  });
  await Deno.remove(path);
});

Deno.test("a tensor that holds no floats is refused by name", async () => {
  const header = `{"bytes":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`;
  const path = await handMade(header, 3);
  using file = await openSafetensors(path);
  await assertRejects(() => file.readFloat32("bytes"), UserError, `"bytes" is U8`);
  await Deno.remove(path);
});

Deno.test("null where metadata might be says that there are none, as some programs write it", async () => {
  const header = `{"__metadata__":null,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`;
  const path = await handMade(header, 4);
  using file = await openSafetensors(path);
  assertEquals((await file.readFloat32("a")).length, 1);
  await Deno.remove(path);
});

Deno.test("metadata may be long, and hold whatever looks like JSON", async () => {
  const text = JSON.stringify({ x: `{"a":\\" } ${"y".repeat(10_000_000)}\\` });
  const path = await handMade(
    `{"__metadata__":${text},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
    4,
  );
  using file = await openSafetensors(path);
  assertEquals([...file.tensors.keys()], ["a"]);
  await Deno.remove(path);
});

Deno.test("a damaged file is refused with the reason", async () => {
  const tensor = (dtype: string, shape: number[], begin: number, end: number) =>
    JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
  const a = tensor("F32", [2], 0, 8);
  const cases: [Promise<string>, string][] = [
    [withBytes(new Uint8Array(5)), "5 bytes are no safetensors file"],
    [handMade(`{"a":${a}}`, 8, 1000n), "the header claims 1000 bytes but only"],
    [handMade(`{"a":${a}}`, 8, 2n ** 63n), "more than the 100000000 allowed"],
    [handMade(`{"a":`, 8), "the header is not JSON"],
    [handMade(`[1]`, 0), "the header is not a JSON object"],
    [handMade(`{"a":${a}}`, 7), "the tensors need 8 bytes but only 7 follow"],
    [handMade(`{"a":${a}}`, 9), "1 bytes follow the last tensor"],
    [handMade(`{"a":${a},"b":${tensor("F32", [1], 4, 8)}}`, 8), `"b" at byte 4 overlaps`],
    [handMade(`{"a":${a},"b":${tensor("F32", [1], 12, 16)}}`, 16), `"b" at byte 12 leaves a hole`],
    [handMade(`{"a":${tensor("F32", [3], 0, 8)}}`, 8), "[3] of F32 needs 12 bytes"],
    [handMade(`{"a":${tensor("F32", [2], 8, 0)}}`, 8), "data_offsets must be [begin, end]"],
    [handMade(`{"a":${tensor("F32", [-2], 0, 8)}}`, 8), "the shape is not a list of sizes"],
    [handMade(`{"a":${tensor("F12", [2], 0, 8)}}`, 8), `unknown dtype "F12"`],
    [handMade(`{"a":${a},"\\u0061":${a}}`, 8), `the tensor "a" is listed twice`],
    [handMade(`{"__metadata__":{"step":1},"a":${a}}`, 8), `"__metadata__" must map`],
    [handMade(`{"\\\\" : ${a}, "\\\\":${a}}`, 8), "is listed twice"],
  ];
  for (const [made, reason] of cases) {
    const path = await made;
    const error = await assertRejects(() => openSafetensors(path), UserError);
    assertStringIncludes(error.message, path);
    assertStringIncludes(error.message, reason);
    await Deno.remove(path);
  }
  await assertRejects(() => openSafetensors("no-such-file"), UserError, "no-such-file");
  const below = `${new URL(import.meta.url).pathname}/weights`;
  await assertRejects(() => openSafetensors(below), UserError, "weights: there is no such file");
  await assertRejects(() => openSafetensors(Deno.cwd()), UserError, "it is a folder");
});

Deno.test("a tensor of the wrong length is not written, and no file is left", async () => {
  const dir = await Deno.makeTempDir();
  const entry = { name: "x", shape: [2, 2], dtype: "F32" } as const;
  await assertRejects(
    () => writeSafetensors(`${dir}/x.safetensors`, [entry], () => new Float32Array(3)),
    RangeError,
    `"x" has 3 values`,
  );
  assertEquals([...Deno.readDirSync(dir)], []);
  await Deno.remove(dir);
});

Deno.test("a full disk is reported with the path and the bytes needed", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/x.safetensors`;
  const open = Deno.open;
  // Everything but the failing device is real: no test may fill a disk.
  Deno.open = async (...args) => {
    const file = await open(...args);
    file.write = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
    return file;
  };
  try {
    const entry = { name: "x", shape: [1000], dtype: "BF16" } as const;
    const error = await assertRejects(
      () => writeSafetensors(path, [entry], () => new Float32Array(1000)),
      UserError,
    );
    assertStringIncludes(error.message, `${path}: the disk is full; this file needs 21`);
  } finally {
    Deno.open = open;
  }
  assertEquals([...Deno.readDirSync(dir)], []);
  await Deno.remove(dir);
});
