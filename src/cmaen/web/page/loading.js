/**
 * The networks' files: from what this browser keeps, or from the server, compressed where it can be, told as they come.
 *
 * Where the server does not compress them itself, the copy beside with `.gz` is taken, which `cmaen page` writes.
 */

const STORE = 'cmaen networks'; // offline.js keeps them in order

/** Where a file is kept: a content has a name of its own. */
export function keyOf(url, sha256) {
  return `${url}?sha256=${encodeURIComponent(sha256)}`;
}

/**
 * Get files.
 * @param {Record<string, {bytes: number, sha256: string}>} downloads What they are.
 * @param {(name: string) => string} here Their addresses.
 * @param {(got: number, whole: number) => void} onBytes Told of the bytes that are there, of all files together.
 * @returns {Promise<Record<string, Uint8Array>>}
 */
export async function fetchAll(downloads, here, onBytes) {
  const names = Object.keys(downloads);
  const whole = names.reduce((sum, name) => sum + downloads[name].bytes, 0);
  let got = 0;
  const count = (bytes) => {
    got += bytes;
    onBytes(got, whole);
  };
  const store = await globalThis.caches?.open(STORE).catch(() => null); // none where the page is not trusted
  const found = await Promise.all(
    names.map(async (name) => [name, await fetchOne(here(name), downloads[name], store, count)]),
  );
  return Object.fromEntries(found);
}

/** Whether the server compresses a file itself, which depends on its type. */
async function compresses(url) {
  const response = await fetch(url, { method: 'HEAD' }).catch(() => null);
  return Boolean(response?.headers.get('Content-Encoding'));
}

async function fetchOne(url, { bytes, sha256 }, store, count) {
  const kept = await (await store?.match(keyOf(url, sha256)).catch(() => null))?.arrayBuffer();
  if (kept?.byteLength === bytes) {
    count(bytes);
    return new Uint8Array(kept);
  }
  const content = await respond(url)
    .then((body) => read(body, bytes, count))
    .catch((error) => {
      throw new Error(`${url.split('/').pop()}: ${error.message}`);
    });
  const type = { headers: { 'Content-Type': 'application/octet-stream' } };
  store?.put(keyOf(url, sha256), new Response(content, type)).catch(() => {}); // where there is no room, next time again
  return content;
}

/** The body of a file, decompressed. */
async function respond(url) {
  if (globalThis.DecompressionStream && !(await compresses(url))) {
    const beside = await fetch(`${url}.gz`).catch(() => null);
    if (beside?.ok) {
      const done = beside.headers.get('Content-Encoding'); // some servers call the file itself an encoding
      return done ? beside.body : beside.body.pipeThrough(new DecompressionStream('gzip'));
    }
  }
  const response = await fetch(url).catch(() => {
    throw new Error('the server cannot be reached');
  });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.body;
}

/** All bytes of a stream, whose number is known. */
async function read(body, bytes, count) {
  const content = new Uint8Array(bytes);
  const reader = body.getReader();
  for (let at = 0; ; ) {
    const { done, value } = await reader.read();
    if (done && at === bytes) return content;
    if (done || at + value.length > bytes) throw new Error('it is not the file that belongs to this page; load it again');
    content.set(value, at);
    at += value.length;
    count(value.length);
  }
}
