/**
 * WGSL that rounds four f32 to bf16, the upper half of an f32: to the nearest, ties to even.
 * Infinities stay, and a NaN stays one.
 *
 * @param bits name of the numbers' bits, vec4u
 * @returns the 16 bits of each, vec4u
 */
export function bf16Bits(bits: string): string {
  return `select((${bits} + 0x7fffu + ((${bits} >> vec4u(16u)) & vec4u(1u))) >> vec4u(16u),
      (${bits} >> vec4u(16u)) | vec4u(0x40u), (${bits} & vec4u(0x7fffffffu)) > vec4u(0x7f800000u))`;
}
