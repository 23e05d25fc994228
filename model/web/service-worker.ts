/// <reference lib="webworker" />
/**
 * The service worker of a site: opens its pages where there is no network. Where there is one, the
 * newest version comes from there. Pieces of models are none of its business: the pages keep them in
 * a cache of their own.
 */
import { MANIFEST_FILE, PIECES_FOLDER, type SiteManifest } from "./site-manifest.ts";

const worker = globalThis as unknown as ServiceWorkerGlobalScope;
const { scope } = worker.registration;
const cacheName = `pages ${new URL(scope).pathname}`;

worker.addEventListener("install", (event) => event.waitUntil(keepPages()));
worker.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(scope)) return;
  if (!url.startsWith(scope + PIECES_FOLDER)) event.respondWith(newest(event.request));
});

async function keepPages(): Promise<void> {
  const { pages }: SiteManifest = await (await fetch(scope + MANIFEST_FILE)).json();
  const cache = await caches.open(cacheName);
  await cache.addAll([...pages, MANIFEST_FILE, "./"].map((path) => new URL(path, scope).href));
}

/** From the network, which is kept for later; or else what was kept. */
async function newest(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
