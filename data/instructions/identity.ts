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
