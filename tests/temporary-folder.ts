/** What `test` returns, called with a folder of its own. */
export async function inTemporaryFolder<T>(test: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir();
  try {
    return await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
