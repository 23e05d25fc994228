import { readFileSync } from "node:fs";

const LANGUAGE = readFileSync(new URL("./language.js", import.meta.url), "utf8");

/**
 * The script of a page in two languages as a server sends it: plain JavaScript, behind that of
 * `language.js`, whose functions it calls.
 *
 * @param address of the script's file
 */
export function pageScript(address: URL): string {
  return `${LANGUAGE}\n${readFileSync(address, "utf8")}`;
}
