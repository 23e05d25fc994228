import { basename } from "node:path";

/** The name and the author that the assistant gives when it is asked who it is. */
export interface Identity {
  /** The name of the assistant. */
  name: string;
  /** Who made the assistant. */
  author: string;
}

/**
 * Fills in the placeholders of identity sets: `{{name}}` or `<NAME>`, `{{author}}` or `<AUTHOR>`.
 */
export function fillIdentity(text: string, { name, author }: Identity): string {
  return text
    .replaceAll(/\{\{name\}\}|<NAME>/g, () => name)
    .replaceAll(/\{\{author\}\}|<AUTHOR>/g, () => author);
}

/**
 * Whether a set is an identity set, by its name or its file's: LLaMA-Factory's `identity`, or
 * `self_cognition` as it was called before. In all others, a placeholder is text, such as a template
 * of Vue or a C++ macro.
 */
export function isIdentitySet({ name, path }: { name: string; path: string }): boolean {
  return [basename(name), basename(path)].some((each) => /identity|self[-_ ]?cog/i.test(each));
}
