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
  await Promise.all([...pages, MANIFEST_FILE, "./"].map(async (path) => {
    const address = new URL(path, scope).href;
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address}: status ${response.status}`);
    await keep(cache, address, response);
  }));
}

/** From the network, which is kept for later; or else what was kept. */
async function newest(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  let response: Response;
  try {
    response = await fetch(request);
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
  // Where the browser has no room left, what came from the network is shown all the same.
  if (response.ok) await keep(cache, request, response.clone()).catch(() => {});
  return response;
}

/**
 * Keeps a response as if it had come from the address that was asked for: some hosts lead
 * `trainer.html` to `trainer`, and browsers open no page by a response that was led elsewhere.
 */
async function keep(cache: Cache, address: RequestInfo, response: Response): Promise<void> {
  const { body, status, statusText, headers } = response;
  await cache.put(address, new Response(body, { status, statusText, headers }));
}
