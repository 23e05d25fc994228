/** 0, 1, … below `count`: to write a statement of WGSL several times. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
