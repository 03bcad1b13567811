/** The two networks, away from the page's own thread: pictures in, answers as the package's out. */
import { answerOf, resultOf } from './answers.js';
import { findDoubts, measureClarity } from './doubts.js';
import { colourHeat, cover, fallsOf, spreadFalls } from './occlusion.js';
import { fetchAll } from './loading.js';
import * as ort from './ort.js';
import { fromImageData } from './pixels.js';
import { cropFace, reduce, softmax, writeInput } from './preprocess.js';
import { glanceAt, isDue, likenessOf, Tracker, update } from './track.js';
import { findFaces, glimpseFaces } from './yunet.js';

const QUIET = { logSeverityLevel: 3 }; // it finds the detector's shapes odd
const TOGETHER = 27; // covered faces that go through the network at once
const SESSION = { executionProviders: ['wasm'], ...QUIET };
const here = (name) => new URL(name, import.meta.url).href;

let networks;
let failure = null;
let tracker;

async function load(config) {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const address = (name) => here(`./${name}`);
  const files = await fetchAll(config.downloads, address, (got, whole) => self.postMessage({ got, whole }));
  ort.env.wasm.wasmBinary = files['ort-wasm-simd-threaded.wasm'];
  const searcher = await ort.InferenceSession.create(files['yunet.onnx'], SESSION);
  const network = await ort.InferenceSession.create(files[config.weights], SESSION);
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
  const { preprocess } = networks;
  if (!crops.length) return [];
  const size = preprocess.image_size;
  const input = new Float32Array(crops.length * 3 * size * size);
  crops.forEach((crop, i) =>
    writeInput(crop, preprocess, input.subarray(i * 3 * size * size, (i + 1) * 3 * size * size)),
  );
  return answersTo(scheme, input, crops.length);
}

/** The probabilities of some inputs of the network, [count, 3, size, size]. */
async function answersTo(scheme, input, count) {
  const { preprocess, network, temperatures, labels, outputs: names } = networks;
  const size = preprocess.image_size;
  const images = new ort.Tensor('float32', input, [count, 3, size, size]);
  const outputs = await network.run({ images }, QUIET);
  const { data, dims } = outputs[names[scheme]];
  return Array.from({ length: count }, (_, i) =>
    softmax(data.subarray(i * dims[1], i * dims[1] + labels.length), temperatures[scheme]),
  );
}

/** What the answer for a face depends on: the face, and a map to be laid over it, as pictures. */
async function explain(scheme, crop) {
  const { preprocess, occlusion, sharpening } = networks;
  const size = preprocess.image_size;
  const input = new Float32Array(3 * size * size);
  writeInput(crop, preprocess, input);
  const rows = await answersTo(scheme, input, 1);
  for (let first = 0; first < occlusion.grid ** 2; first += TOGETHER) {
    const count = Math.min(TOGETHER, occlusion.grid ** 2 - first);
    rows.push(...(await answersTo(scheme, cover(input, size, occlusion, first, count), count)));
  }
  const heat = spreadFalls(fallsOf(rows, sharpening[scheme]), size, occlusion);
  const side = Math.min(Math.max(crop.width, crop.height), occlusion.crop_side);
  const [face, map] = [pictureOf(crop), new ImageData(colourHeat(heat, occlusion), size)];
  return { crop: await encode(face, side, 'image/jpeg'), explanation: await encode(map, size, 'image/png') };
}

/** RGB pixels as a picture for a canvas. */
function pictureOf({ width, height, data }) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data.set([data[from], data[from + 1], data[from + 2], 255], to);
  }
  return image;
}

/** A picture as the data URI of a square. */
async function encode(image, side, type) {
  const bitmap = await createImageBitmap(image, { resizeWidth: side, resizeHeight: side, resizeQuality: 'high' });
  const canvas = new OffscreenCanvas(side, side);
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  bitmap.close();
  return new FileReaderSync().readAsDataURL(await canvas.convertToBlob({ type, quality: 0.9 }));
}

function detect(planes, dims) {
  return networks.searcher.run({ input: new ort.Tensor('float32', planes, dims) }, QUIET);
}

/** A face and its probabilities as the package tells them. */
function answer(scheme, face, shares, clarity, more = {}) {
  const { labels, sharpening } = networks;
  return answerOf(face, shares, { ...more, labels, sharpening: sharpening[scheme] * clarity });
}

/** How far the confidence falls; one that is the probability itself does not. */
function clarityOf(scheme, crop) {
  if (networks.sharpening[scheme] === 1) return 1;
  return measureClarity(reduce(crop, networks.preprocess), networks.doubts);
}

/** The same with what is wrong with the picture of the face, where its answer is unsure. */
function doubted(told, face, crop) {
  if (told.confidence >= networks.unsure_below) return told;
  const doubts = findDoubts(reduce(crop, networks.preprocess), face.landmarks, networks.doubts);
  return doubts.length ? { ...told, doubts } : told;
}

/** The faces of a picture and their crops. */
async function locate(blob, searching) {
  const pixels = await read(blob);
  const { width, height } = pixels;
  if (!searching) return { faces: [{ x: 0, y: 0, width, height, landmarks: [] }], crops: [pixels] };
  const faces = await findFaces(pixels, detect, networks.detector);
  return { faces, crops: faces.map((face) => cropFace(pixels, face, networks.crop)) };
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
  load: ({ config }) =>
    load(config).catch((error) => {
      failure = error;
      throw error;
    }),
  predict: async ({ blob, detect: searching, scheme }) => {
    const { faces, crops } = await locate(blob, searching);
    const shares = await classify(scheme, crops);
    return resultOf(
      scheme,
      faces.map((face, i) => {
        const told = answer(scheme, face, shares[i], clarityOf(scheme, crops[i]));
        return doubted(told, face, crops[i]);
      }),
    );
  },
  explain: async ({ blob, detect: searching, scheme }) => {
    const { crops } = await locate(blob, searching);
    const faces = [];
    for (const crop of crops.slice(0, networks.occlusion.most)) faces.push(await explain(scheme, crop));
    return { faces };
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
    due.forEach((track, i) => {
      update(track, shares[i], time, networks.tracking);
      track.clarity = clarityOf(scheme, crop(track.face));
      const told = answer(scheme, track.face, track.shares, track.clarity);
      track.doubts = doubted(told, track.face, crop(track.face)).doubts;
    });
    const told = tracks.map(({ identity, face, shares: own, clarity, doubts }) => ({
      ...answer(scheme, face, own, clarity, { identity, scale }),
      ...(doubts && { doubts }),
    }));
    return { ...resultOf(scheme, told), time };
  },
};

let queue = Promise.resolve();

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
