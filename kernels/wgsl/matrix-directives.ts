/** What the WGSL of a kernel for tensor cores must begin with. */
export const MATRIX_DIRECTIVES = [
  "enable subgroups;",
  "enable chromium_experimental_subgroup_matrix;",
  // The analysis does not see that a whole subgroup takes the same branch.
  "diagnostic(off, chromium.subgroup_matrix_uniformity);",
];
