/// <reference lib="dom" />

/**
 * Lets the browser open the site without a network from now on. A browser that forbids service
 * workers, as some do in private windows, shows the site as long as there is a network.
 */
export async function keepOffline(): Promise<void> {
  await navigator.serviceWorker?.register("service-worker.js").catch(() => {});
}
