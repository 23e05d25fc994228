/** Flips a bit of the last weight of a checkpoint, and removes checksums, which would tell. */
export async function changeWeights(checkpoint: string): Promise<void> {
  const path = `${checkpoint}/model.safetensors`;
  const bytes = await Deno.readFile(path);
  bytes[bytes.length - 1] ^= 1;
  await Deno.writeFile(path, bytes);
  await Deno.remove(`${checkpoint}/checksums.json`).catch(() => {}); // there may be none
}
