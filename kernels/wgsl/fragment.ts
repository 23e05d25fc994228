/** A fragment shape of the device: one multiply takes `m x k` and `k x n` to `m x n`. */
export interface FragmentShape {
  m: number;
  n: number;
  k: number;
}

/** The fragment that the kernels are made of, and the lanes that multiply it together. */
export const FRAGMENT: FragmentShape = { m: 16, n: 16, k: 16 };
export const SUBGROUP_SIZE = 32;

/** The most workgroup memory that a kernel takes, for the gradients of heads of 128. */
export const WORKGROUP_BYTES = 35_072;

/** What a shader that multiplies fragments must begin with. */
export const MATRIX_DIRECTIVES = [
  "enable subgroups;",
  "enable chromium_experimental_subgroup_matrix;",
  // The analysis does not see that a whole subgroup takes the same branch.
  "diagnostic(off, chromium.subgroup_matrix_uniformity);",
];
