/** A fragment shape of the device: one multiply takes `m x k` and `k x n` to `m x n`. */
export interface FragmentShape {
  m: number;
  n: number;
  k: number;
}

/** The fragment that the kernels for tensor cores are made of. */
export const FRAGMENT: FragmentShape = { m: 16, n: 16, k: 16 };

/** The lanes that multiply a fragment together. */
export const SUBGROUP_SIZE = 32;

/** The most workgroup memory that a kernel takes, for the gradients of heads of 128. */
export const WORKGROUP_BYTES = 35_072;
