/** The two networks, away from the page's own thread: pictures in, answers as the package's out. */
import { answerOf, resultOf } from './answers.js';
import { fetchAll } from './loading.js';
import * as ort from './ort.js';
import { fromImageData } from './pixels.js';
import { cropFace, softmax, writeInput } from './preprocess.js';
import { glanceAt, isDue, likenessOf, Tracker, update } from './track.js';
import { findFaces, glimpseFaces } from './yunet.js';

const QUIET = { logSeverityLevel: 3 }; // it finds the detector's shapes odd
const SESSION = { executionProviders: ['wasm'], ...QUIET };
const here = (name) => new URL(name, import.meta.url).href;

let networks;
let failure = null;
let tracker;

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const config = await (await fetch(here('./config.json'))).json();
  const address = (name) => here(`./${name}`);
  const files = await fetchAll(config.downloads, address, (got, whole) => self.postMessage({ got, whole }));
  ort.env.wasm.wasmBinary = files['ort-wasm-simd-threaded.wasm'];
  const searcher = await ort.InferenceSession.create(files['yunet.onnx'], SESSION);
  const network = await ort.InferenceSession.create(files['model.onnx'], SESSION);
  networks = { ...config, searcher, network };
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

/** The probabilities of face crops under a label scheme; contempt, with which one of them ends, is left out. */
async function classify(scheme, crops) {
  const { preprocess, network, temperatures, labels, outputs: names } = networks;
  if (!crops.length) return [];
  const size = preprocess.image_size;
  const input = new Float32Array(crops.length * 3 * size * size);
  crops.forEach((crop, i) =>
    writeInput(crop, preprocess, input.subarray(i * 3 * size * size, (i + 1) * 3 * size * size)),
  );
  const images = new ort.Tensor('float32', input, [crops.length, 3, size, size]);
  const outputs = await network.run({ images }, QUIET);
  const { data, dims } = outputs[names[scheme]];
  const first = (i) => i * dims[1];
  return crops.map((_, i) => softmax(data.subarray(first(i), first(i) + labels.length), temperatures[scheme]));
}

function detect(planes, dims) {
  return networks.searcher.run({ input: new ort.Tensor('float32', planes, dims) }, QUIET);
}

/** A face and its probabilities as the package tells them. */
function answer(scheme, face, shares, more = {}) {
  const { labels, sharpening } = networks;
  return answerOf(face, shares, { ...more, labels, sharpening: sharpening[scheme] });
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
    const whole = { x: 0, y: 0, width, height, landmarks: [] };
    const faces = searching ? await findFaces(pixels, detect, networks.detector) : [whole];
    const crops = searching ? faces.map((face) => cropFace(pixels, face, networks.crop)) : [pixels];
    const shares = await classify(scheme, crops);
    return resultOf(
      scheme,
      faces.map((face, i) => answer(scheme, face, shares[i])),
    );
  },
  begin: () => {
    tracker = new Tracker(networks.tracking);
  },
  frame: async ({ bitmap, time, scale, scheme }) => {
    const pixels = pixelsOf(bitmap);
    const faces = await glimpseFaces(pixels, detect, networks.detector, networks.live.searched);
    const crops = new Map();
    const crop = (face) => {
      if (!crops.has(face)) crops.set(face, cropFace(pixels, face, networks.crop));
      return crops.get(face);
    };
    const tracks = tracker.follow(
      faces.map((face) => ({ ...face, box: [face.x, face.y, face.width, face.height] })),
      glanceAt(pixels, networks.tracking.scenes),
      time,
      (face) => likenessOf(crop(face), networks.tracking.likeness),
    );
    const due = tracks.filter((track) => isDue(track, time, networks.tracking));
    const shares = await classify(
      scheme,
      due.map((track) => crop(track.face)),
    );
    due.forEach((track, i) => update(track, shares[i], time, networks.tracking));
    const told = tracks.map(({ identity, face, shares: own }) => answer(scheme, face, own, { identity, scale }));
    return { ...resultOf(scheme, told), time };
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
