/** The two networks, away from the page's own thread: pictures in, answers as the package's out. */
import * as ort from './ort.js';
import { fromImageData } from './pixels.js';
import { cropFace, softmax, writeInput } from './preprocess.js';
import { Tracker } from './track.js';
import { findFaces } from './yunet.js';

const LIVE_SIDE = 320; // of what is searched for faces in a live frame
const SESSION = { executionProviders: ['wasm'], logSeverityLevel: 3 };
const here = (name) => new URL(name, import.meta.url).href;

let setup;
let tracker = new Tracker();

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: here('./ort-wasm-simd-threaded.wasm') };
  ort.env.logLevel = 'error';
  const config = await (await fetch(here('./config.json'))).json();
  const detector = await ort.InferenceSession.create(here('./yunet.onnx'), SESSION);
  const network = await ort.InferenceSession.create(here('./model.onnx'), SESSION);
  return { ...config, detector, network };
}

async function ready() {
  setup ??= load();
  return setup;
}

/** RGB pixels of a bitmap, on white where it is transparent. */
function pixelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  const pixels = fromImageData(context.getImageData(0, 0, bitmap.width, bitmap.height));
  bitmap.close();
  return pixels;
}

async function classify(crops) {
  const { preprocess, network, temperature, labels } = await ready();
  if (!crops.length) return [];
  const size = preprocess.image_size;
  const input = new Float32Array(crops.length * 3 * size * size);
  crops.forEach((crop, i) => writeInput(crop, preprocess, input.subarray(i * 3 * size * size, (i + 1) * 3 * size * size)));
  const images = new ort.Tensor('float32', input, [crops.length, 3, size, size]);
  const { logits } = await network.run({ images }, { logSeverityLevel: 3 });
  return crops.map((_, i) => softmax(logits.data.subarray(i * labels.length, (i + 1) * labels.length), temperature));
}

async function detectAndClassify(pixels, most) {
  const { detector, crop } = await ready();
  const run = (data, dims) =>
    detector.run({ input: new ort.Tensor('float32', data, dims) }, { logSeverityLevel: 3 });
  const faces = await findFaces(pixels, run, most);
  const shares = await classify(faces.map((face) => cropFace(pixels, face, crop)));
  return faces.map((face, i) => ({
    box: [face.x, face.y, face.width, face.height].map(tenths),
    landmarks: face.landmarks.map((point) => point.map(tenths)),
    shares: shares[i],
  }));
}

const tenths = (value) => Math.round(10 * value) / 10;

function answer({ shares, ...face }, labels) {
  const best = shares.indexOf(Math.max(...shares));
  const probabilities = Object.fromEntries(labels.map((label, i) => [label, shares[i]]));
  return { ...face, predicted_emotion: labels[best], confidence: shares[best], probabilities };
}

function result(faces) {
  const { predicted_emotion = null, confidence = null, probabilities = null } = faces[0] ?? {};
  return { status: faces.length ? 'ok' : 'no_face', error: null, predicted_emotion, confidence, probabilities, faces };
}

const JOBS = {
  load: async () => {
    await ready();
  },
  predict: async ({ blob, detect }) => {
    const { labels } = await ready();
    const options = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };
    const bitmap = await createImageBitmap(blob, options).catch(() => {
      throw new Error(blob.size ? 'this browser cannot read it as a picture' : 'the file is empty');
    });
    const pixels = pixelsOf(bitmap);
    if (detect) return result((await detectAndClassify(pixels, 640)).map((face) => answer(face, labels)));
    const [shares] = await classify([pixels]);
    return result([answer({ box: [0, 0, pixels.width, pixels.height], landmarks: [], shares }, labels)]);
  },
  begin: async () => {
    tracker = new Tracker();
  },
  frame: async ({ bitmap, time, scale }) => {
    const { labels } = await ready();
    const faces = (await detectAndClassify(pixelsOf(bitmap), LIVE_SIDE)).map((face) => ({
      ...face,
      box: face.box.map((value) => value * scale),
      landmarks: face.landmarks.map((point) => point.map((value) => value * scale)),
    }));
    return { ...result(tracker.follow(faces, time).map((face) => answer(face, labels))), time };
  },
};

self.addEventListener('message', async ({ data: { id, job, ...input } }) => {
  try {
    self.postMessage({ id, value: await JOBS[job](input) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
