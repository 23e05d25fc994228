/**
 * The contents of a file of an npm package, which Deno fetches first where it is missing.
 *
 * @param specifier put together at run time: Deno fetches what a program names outright before it
 *   starts
 */
export async function importFromPackage(
  specifier: string,
  type: "json" | "text",
): Promise<unknown> {
  const file: { default: unknown } = await import(specifier, { with: { type } });
  // Deno draws its download bar over whatever is printed until its own tasks have run once more.
  await new Promise((resolve) => setTimeout(resolve, 0));
  return file.default;
}
