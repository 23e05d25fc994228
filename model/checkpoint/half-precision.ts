/**
 * The two 16-bit float formats of checkpoints. Narrowing rounds to the nearest value, ties to even,
 * as PyTorch does; zeros keep their sign, subnormals and infinities are kept, overflow becomes
 * infinity and a NaN stays a NaN.
 */

/** bfloat16 is the upper half of a float32. */
export function bfloat16ToFloat32(bits: Uint16Array, into: Float32Array): void {
  const words = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
}

export function float32ToBfloat16(values: Float32Array, into: Uint16Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if ((word & 0x7fffffff) > 0x7f800000) {
      into[i] = (word >>> 16) | 0x40; // a NaN whose payload is all in the lower half must not become infinity
    } else {
      // 0x7fff carries into the upper half above a tie; the upper half's last bit makes ties even.
      into[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
    }
  }
}

/** IEEE 754 binary16; JavaScript's own Float16Array converts by the same rules. */
export function float16ToFloat32(bits: Uint16Array, into: Float32Array): void {
  into.set(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
}

export function float32ToFloat16(values: Float32Array, into: Uint16Array): void {
  new Float16Array(into.buffer, into.byteOffset, into.length).set(values);
}
