// What the npm packages @vladmandic/human and @vladmandic/face-api answer to face crops, each with its own classifier.
//
//   NODE_PATH=node_modules node classify.mjs human|face-api faces.bin answers.json
//
// faces.bin holds grey faces of 48 x 48, one byte a pixel; answers.json gets the name of an emotion for each. One thread.

import { createRequire } from 'node:module';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const modules = resolve(process.env.NODE_PATH ?? 'node_modules');
const require = createRequire(join(modules, 'from-here.js'));
const [system, source, target] = process.argv.slice(2);
const SIDE = 48;
const BATCH = 64;

async function backend(tf) {
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(join(modules, '@tensorflow/tfjs-backend-wasm/dist/'));
  wasm.setThreadsCount(1);
  await tf.setBackend('wasm');
  await tf.ready();
}

// As predict in src/gear/emotion.ts: resized to 64 x 64, grey, from -1 to 1.
async function human() {
  const tf = require('@tensorflow/tfjs');
  await backend(tf);
  const folder = join(modules, '@vladmandic/human/models');
  const model = JSON.parse(await readFile(join(folder, 'emotion.json'), 'utf8'));
  const weights = await readFile(join(folder, 'emotion.bin'));
  const network = await tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: model.modelTopology,
    weightSpecs: model.weightsManifest[0].weights,
    weightData: new Uint8Array(weights).buffer,
  }));
  const names = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
  return (pixels, count) => tf.tidy(() => {
    const faces = tf.tensor4d(Float32Array.from(pixels), [count, SIDE, SIDE, 1]).div(255);
    const input = tf.image.resizeBilinear(faces, [64, 64], false).sub(0.5).mul(2);
    return [...network.execute(input).argMax(1).dataSync()].map((index) => names[index]);
  });
}

// Its own predictExpressions, which takes faces from 0 to 255 in colour.
async function faceApi() {
  const faceapi = require('@vladmandic/face-api/dist/face-api.node-wasm.js');
  await backend(faceapi.tf);
  const network = faceapi.nets.faceExpressionNet;
  await network.loadFromDisk(join(modules, '@vladmandic/face-api/model'));
  const names = { angry: 'angry', disgusted: 'disgust', fearful: 'fear', happy: 'happy', neutral: 'neutral', sad: 'sad', surprised: 'surprise' };
  return async (pixels, count) => {
    const grey = faceapi.tf.tensor4d(Float32Array.from(pixels), [count, SIDE, SIDE, 1]);
    const colour = grey.tile([1, 1, 1, 3]);
    const faces = faceapi.tf.unstack(colour);
    const found = await network.predictExpressions(faces);
    faceapi.tf.dispose([grey, colour, faces]);
    return found.map((expressions) => names[expressions.asSortedArray()[0].expression]);
  };
}

const classify = await { human, 'face-api': faceApi }[system]();
const bytes = await readFile(source);
const answers = [];
for (let start = 0; start < bytes.length; start += BATCH * SIDE * SIDE) {
  const pixels = bytes.subarray(start, start + BATCH * SIDE * SIDE);
  answers.push(...await classify(pixels, pixels.length / SIDE / SIDE));
}
await writeFile(target, JSON.stringify(answers));
process.exit();
