/** 0, 1, … below `count`: the copies of a statement that a shader's text writes out. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
