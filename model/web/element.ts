/// <reference lib="dom" />

/** An element of the page that the page's own HTML has. */
export function elementOf<E extends HTMLElement>(id: string, kind: { new (): E }): E {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} "${id}"`);
}
