/** What a folder holds, to be compared. */
import { createHash } from "node:crypto";

/** The paths of all files below a folder, from there, by name; none if it is not there. */
export async function filesBelow(dir: string): Promise<string[]> {
  const paths: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(dir)) {
      const below = isDirectory ? await filesBelow(`${dir}/${name}`) : undefined;
      paths.push(...below?.map((path) => `${name}/${path}`) ?? [name]);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return paths.toSorted();
}

/** The content of each file below a folder. */
export async function contentOf(dir: string): Promise<Record<string, Uint8Array>> {
  const paths = await filesBelow(dir);
  const contents = paths.map(async (path) => [path, await Deno.readFile(`${dir}/${path}`)]);
  return Object.fromEntries(await Promise.all(contents));
}

/** A hash of what JSON and typed arrays are made of. */
export function digestOf(value: unknown): string {
  const json = JSON.stringify(value, (_, part) => {
    if (typeof part === "bigint") return `${part}n`;
    if (part instanceof Map) return [...part];
    if (!ArrayBuffer.isView(part)) return part;
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    return createHash("sha256").update(bytes).digest("hex");
  });
  return createHash("sha256").update(json ?? "undefined").digest("hex");
}

/** Copies a folder and all below it; files keep the time of their last change. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

export async function removeFolder(dir: string): Promise<void> {
  await Deno.remove(dir, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
