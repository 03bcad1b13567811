/*
 * The page without a connection. `cmaen page` writes this as sw.js, below FILES (the page's own) and NETWORKS, each with
 * its SHA-256, and VERSION, the same of all of them: another content is another version, with a cache of its own.
 *
 * A service worker of an older page must not come between a visitor and another page at this address, such as that of
 * `cmaen serve`: where the server gives another index.html, it lets everything through.
 */
const SCOPE = self.registration.scope;
const OWN = `cmaen ${SCOPE} `;
const STORE = `${OWN}${VERSION}`;
const NETWORK_STORE = 'cmaen networks'; // which loading.js fills
const PATIENCE = 4000; // milliseconds for a server to answer

const addressOf = (path) => new URL(path, SCOPE).href;
const keyOf = (path, sha256) => `${addressOf(path)}?sha256=${encodeURIComponent(sha256)}`;

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const path = pathOf(request.url);
  if (request.method !== 'GET' || path === null) return;
  event.respondWith(request.mode === 'navigate' ? navigate(request, path) : give(request, path));
});

/** Which of the page's files an address means; null where it means none. */
function pathOf(url) {
  const address = url.replace(/[?#].*$/, '');
  if (!address.startsWith(SCOPE)) return null;
  const path = address.slice(SCOPE.length).replace(/^index\.html$/, '') || './';
  return Object.hasOwn(FILES, path) ? path : null;
}

async function install() {
  await fill(STORE, FILES);
  await fill(NETWORK_STORE, await listUsed()); // at the first visit the page itself brings them
  await self.skipWaiting();
}

/** The networks of which this device has some version: a phone uses another than a computer. */
async function listUsed() {
  const store = await caches.open(NETWORK_STORE);
  const used = new Set((await store.keys()).map(({ url }) => url.replace(/\?.*$/, '')));
  return Object.fromEntries(Object.entries(NETWORKS).filter(([path]) => used.has(addressOf(path))));
}

/** Fetch what a cache lacks, from another one where that has it. */
async function fill(name, files) {
  const store = await caches.open(name);
  await Promise.all(
    Object.entries(files).map(async ([path, sha256]) => {
      const key = keyOf(path, sha256);
      if (await store.match(key)) return;
      const known = await caches.match(key);
      const fresh = () => fetch(addressOf(path), { cache: 'no-cache', integrity: `sha256-${sha256}` });
      await store.put(key, known ?? (await fresh()));
    }),
  );
}

async function activate() {
  for (const name of await caches.keys()) if (name.startsWith(OWN) && name !== STORE) await caches.delete(name);
  const store = await caches.open(NETWORK_STORE);
  const wanted = new Set(Object.entries(NETWORKS).map(([path, sha256]) => keyOf(path, sha256)));
  for (const { url } of await store.keys()) {
    if (url.startsWith(SCOPE) && !wanted.has(url)) await store.delete(url);
  }
}

async function kept(path) {
  return (await caches.has(STORE)) ? (await caches.open(STORE)).match(keyOf(path, FILES[path])) : undefined;
}

async function give(request, path) {
  return (await kept(path)) ?? fetch(request);
}

/** The page: the server's where it answers, else the one that is kept. */
async function navigate(request, path) {
  const own = await kept(path);
  if (!own) return fetch(request);
  const late = new Promise((done) => setTimeout(() => done(null), PATIENCE));
  const response = await Promise.race([fetch(request).catch(() => null), late]);
  if (!response?.ok) return own;
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer()));
  if (btoa(String.fromCharCode(...bytes)) !== FILES[path]) await caches.delete(STORE); // it is another page
  return response;
}
