/** The two networks, away from the page's own thread: pictures in, answers as the package's out. */
import * as ort from './ort.js';
import { fromImageData } from './pixels.js';
import { cropFace, softmax, writeInput } from './preprocess.js';
import { glanceAt, isDue, likenessOf, Tracker, update } from './track.js';
import { findFaces } from './yunet.js';

const LIVE_SIDE = 320; // of what is searched for faces in a live frame
const QUIET = { logSeverityLevel: 3 }; // it finds the detector's shapes odd
const SESSION = { executionProviders: ['wasm'], ...QUIET };
const here = (name) => new URL(name, import.meta.url).href;

let networks;
let failure = null;
let tracker;

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: here('./ort-wasm-simd-threaded.wasm') };
  ort.env.logLevel = 'error';
  const config = await (await fetch(here('./config.json'))).json();
  const detector = await ort.InferenceSession.create(here('./yunet.onnx'), SESSION);
  const network = await ort.InferenceSession.create(here('./model.onnx'), SESSION);
  networks = { ...config, detector, network };
  await detect(new Float32Array(3 * 256 * 320), [1, 3, 256, 320]); // the first time takes far longer
  await classify(config.scheme, [{ width: 1, height: 1, channels: 3, data: new Uint8Array(3) }]);
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

/** The probabilities of face crops under a label scheme; contempt, which `perceived` ends with, is left out. */
async function classify(scheme, crops) {
  const { preprocess, network, temperatures, labels } = networks;
  if (!crops.length) return [];
  const size = preprocess.image_size;
  const input = new Float32Array(crops.length * 3 * size * size);
  crops.forEach((crop, i) =>
    writeInput(crop, preprocess, input.subarray(i * 3 * size * size, (i + 1) * 3 * size * size)),
  );
  const images = new ort.Tensor('float32', input, [crops.length, 3, size, size]);
  const outputs = await network.run({ images }, QUIET);
  const { data, dims } = outputs[scheme === 'perceived' ? 'perceived' : 'logits'];
  const first = (i) => i * dims[1];
  return crops.map((_, i) => softmax(data.subarray(first(i), first(i) + labels.length), temperatures[scheme]));
}

function detect(planes, dims) {
  return networks.detector.run({ input: new ort.Tensor('float32', planes, dims) }, QUIET);
}

function search(pixels, most) {
  return findFaces(pixels, detect, most);
}

/** A face and its probabilities as the package tells them. */
function answer(scheme, face, shares, { scale = 1, ...more } = {}) {
  const { labels, sharpening } = networks;
  const best = shares.indexOf(Math.max(...shares));
  const powers = shares.map((share) => share ** sharpening[scheme]);
  return {
    ...more,
    box: [face.x, face.y, face.width, face.height].map((value) => tenths(value * scale)),
    landmarks: face.landmarks.map((point) => point.map((value) => tenths(value * scale))),
    predicted_emotion: labels[best],
    confidence: powers[best] / powers.reduce((sum, power) => sum + power, 0),
    probabilities: Object.fromEntries(labels.map((label, i) => [label, shares[i]])),
  };
}

const tenths = (value) => Math.round(10 * value) / 10;

function result(scheme, faces) {
  const { predicted_emotion = null, confidence = null, probabilities = null } = faces[0] ?? {};
  const answer = { predicted_emotion, confidence, probabilities, faces };
  return { status: faces.length ? 'ok' : 'no_face', error: null, scheme, ...answer };
}

/** Bytes of a picture file to pixels, upright, without a change of colours. */
async function read(blob) {
  if (!blob.size) throw new Error('the file is empty');
  try {
    return pixelsOf(await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' }));
  } catch {
    throw new Error('this browser cannot read it as a picture');
  }
}

const JOBS = {
  load: () => {},
  predict: async ({ blob, detect: searching, scheme }) => {
    const pixels = await read(blob);
    const { width, height } = pixels;
    const faces = searching ? await search(pixels, 640) : [{ x: 0, y: 0, width, height, landmarks: [] }];
    const crops = searching ? faces.map((face) => cropFace(pixels, face, networks.crop)) : [pixels];
    const shares = await classify(scheme, crops);
    return result(
      scheme,
      faces.map((face, i) => answer(scheme, face, shares[i])),
    );
  },
  begin: () => {
    tracker = new Tracker(networks.tracking);
  },
  frame: async ({ bitmap, time, scale, scheme }) => {
    const pixels = pixelsOf(bitmap);
    const faces = await search(pixels, LIVE_SIDE);
    const crops = new Map();
    const crop = (face) => {
      if (!crops.has(face)) crops.set(face, cropFace(pixels, face, networks.crop));
      return crops.get(face);
    };
    const tracks = tracker.follow(
      faces.map((face) => ({ ...face, box: [face.x, face.y, face.width, face.height] })),
      glanceAt(pixels),
      time,
      (face) => likenessOf(crop(face)),
    );
    const { classify_every: every, smoothing } = networks.tracking;
    const due = tracks.filter((track) => isDue(track, time, every));
    const shares = await classify(
      scheme,
      due.map((track) => crop(track.face)),
    );
    due.forEach((track, i) => update(track, shares[i], time, smoothing));
    const told = tracks.map(({ identity, face, shares: own }) => answer(scheme, face, own, { identity, scale }));
    return { ...result(scheme, told), time };
  },
};

let queue = load().catch((error) => {
  failure = error;
});

// One job after the other, in the order in which they came.
self.addEventListener('message', ({ data: { id, job, ...input } }) => {
  queue = queue.then(async () => {
    try {
      if (failure) throw failure;
      self.postMessage({ id, value: await JOBS[job](input) });
    } catch (error) {
      self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
});
