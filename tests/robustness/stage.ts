/** A damaged copy of a format's folder, the same whenever it is made. */
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { Random } from "../../data/random.ts";
import { streamOf } from "./campaign.ts";
import type { Format, Places } from "./formats.ts";
import { damage, ESCAPE } from "./mutators.ts";
import { copyFolder, filesBelow, removeFolder } from "./tree.ts";

/** A folder in which a format is read, made ready. */
export interface Staged extends Places {
  /** In words, how the file was damaged. */
  how: string;
  /** Whether the damage names a file outside of the folder, as if it were in it. */
  leadsOut: boolean;
  /** The undamaged copy beside the folder, to which such names lead. */
  pristine: string;
}

/** Copies a format's folder, undamaged, into the folder `work`, of which nothing else stays. */
export async function stage(format: Format, inputs: string, work: string): Promise<Places> {
  await removeFolder(work);
  const places = { inputs, input: `${work}/input`, output: `${work}/output` };
  await copyFolder(`${inputs}/${format.folder}`, places.input);
  await Deno.mkdir(places.output);
  await format.before?.(places);
  return places;
}

/** As {@linkcode stage}, and the file damaged as the seed and number say. */
export async function stageDamaged(
  format: Format,
  inputs: string,
  work: string,
  seed: number,
  index: number,
): Promise<Staged> {
  const places = await stage(format, inputs, work);
  const pristine = `${work}/pristine`;
  await copyFolder(places.input, pristine);
  const path = await damagedFile(format, places.input);
  const file = await Deno.readFile(path);
  const random = new Random(seed, streamOf({ kind: format.name, index }));
  const [start, end] = format.covered ?? [0, file.length];
  const { mutator, damage: damaged } = format.damage
    ? { mutator: "as ever", damage: format.damage(file) }
    : damage(file.subarray(start, end), format.content, random);
  await Deno.remove(path);
  if (damaged === "folder") await Deno.mkdir(path);
  else if (damaged !== "nothing") {
    const parts = [file.subarray(0, start), damaged, file.subarray(end)];
    await Deno.writeFile(path, Buffer.concat(parts));
  }
  const leadsOut = mutator === ESCAPE && damaged instanceof Uint8Array &&
    await namesPristine(damaged, places.input);
  return { ...places, how: mutator, leadsOut, pristine };
}

async function damagedFile({ file }: Format, input: string): Promise<string> {
  if (!file.endsWith("/")) return `${input}/${file}`;
  return `${input}/${file}${(await filesBelow(`${input}/${file}`))[0]}`;
}

/** Whether a text of the damaged JSON is the path of a file in the copy beside its folder. */
async function namesPristine(damaged: Uint8Array, input: string): Promise<boolean> {
  const names = new TextDecoder().decode(damaged).matchAll(/"\.\.\/pristine\/([^"]+)"/g);
  const files = new Set(await filesBelow(input));
  return [...names].some(([, name]) => files.has(name) || dirname(name) === input);
}
