/**
 * YuNet as OpenCV's FaceDetectorYN runs it: the picture made small, padded, searched; boxes decoded and thinned out.
 *
 * @typedef {import('./pixels.js').Pixels} Pixels
 * @typedef {import('./preprocess.js').Face} Face
 * @typedef {{strides: number[], least_side: number, max_side: number, min_score: number, overlap: number}} Rules The
 *     numbers of the package, see the page's config.json.
 */
import { rint, shrink } from './pixels.js';

/** The picture with its longer side at most `most`: halved as often as possible, as the package does it. */
function shrunk(pixels, most) {
  let small = pixels;
  while (Math.max(small.width, small.height) >= 2 * most && Math.min(small.width, small.height) > 1) {
    const [width, height] = [small.width >> 1, small.height >> 1];
    small = shrink(cut(small, 2 * width, 2 * height), width, height);
  }
  const factor = most / Math.max(small.width, small.height);
  if (factor >= 1) return small;
  return shrink(small, Math.max(1, rint(small.width * factor)), Math.max(1, rint(small.height * factor)));
}

function cut({ width, height, channels, data }, w, h) {
  if (width === w && height === h) return { width, height, channels, data };
  const out = new Uint8Array(w * h * channels);
  for (let y = 0; y < h; y += 1) {
    out.set(data.subarray(y * width * channels, (y * width + w) * channels), y * w * channels);
  }
  return { width: w, height: h, channels, data: out };
}

/** BGR planes with black to the right and below, up to whole multiples of the largest stride. */
function planes({ width, height, data }, { strides, least_side: least }) {
  const largest = Math.max(...strides);
  const [w, h] = [width, height].map((side) => Math.ceil(Math.max(side, least) / largest) * largest);
  const out = new Float32Array(3 * w * h);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = (y * width + x) * 3;
      const to = y * w + x;
      out[to] = data[from + 2];
      out[w * h + to] = data[from + 1];
      out[2 * w * h + to] = data[from];
    }
  }
  return { w, h, out };
}

/** What one stride of the network found, in pixels of its input. */
function decode(outputs, stride, columns, rows, least, found) {
  const [cls, obj, box, kps] = ['cls', 'obj', 'bbox', 'kps'].map((name) => outputs[`${name}_${stride}`].data);
  const unit = (value) => Math.min(Math.max(value, 0), 1);
  for (let row = 0, at = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, at += 1) {
      const score = Math.sqrt(unit(cls[at]) * unit(obj[at]));
      if (!(score > least)) continue; // nor what is not a number
      const width = Math.exp(box[4 * at + 2]) * stride;
      const height = Math.exp(box[4 * at + 3]) * stride;
      const x = (column + box[4 * at]) * stride - width / 2;
      const y = (row + box[4 * at + 1]) * stride - height / 2;
      const landmarks = [0, 1, 2, 3, 4].map((point) => [
        (kps[10 * at + 2 * point] + column) * stride,
        (kps[10 * at + 2 * point + 1] + row) * stride,
      ]);
      if ([x, y, width, height].every(Number.isFinite)) found.push({ x, y, width, height, score, landmarks });
    }
  }
}

/** Intersection over union of two boxes in whole pixels, which OpenCV compares. */
function overlap(first, second) {
  const [ax, ay, aw, ah, bx, by, bw, bh] = [first, second].flatMap((face) =>
    [face.x, face.y, face.width, face.height].map(Math.trunc),
  );
  const width = Math.max(0, Math.min(ax + aw, bx + bw) - Math.max(ax, bx));
  const height = Math.max(0, Math.min(ay + ah, by + bh) - Math.max(ay, by));
  return (width * height) / (aw * ah + bw * bh - width * height);
}

/** The surest faces, without those that overlap a surer one. */
function thinned(found, most) {
  const kept = [];
  for (const face of [...found].sort((one, other) => other.score - one.score)) {
    if (kept.every((other) => overlap(face, other) <= most)) kept.push(face);
  }
  return kept;
}

/**
 * The faces of a picture, the largest first.
 * @param {Pixels} pixels RGB.
 * @param {(planes: Float32Array, dims: number[]) => Promise<object>} run The network.
 * @param {Rules} rules
 * @param {number} most Longer side, in pixels, of what is searched.
 * @returns {Promise<Face[]>}
 */
export async function findFaces(pixels, run, rules, most = rules.max_side) {
  const small = shrunk(pixels, most);
  const { w, h, out } = planes(small, rules);
  const outputs = await run(out, [1, 3, h, w]);
  const found = [];
  for (const stride of rules.strides) decode(outputs, stride, w / stride, h / stride, rules.min_score, found);
  const [sx, sy] = [pixels.width / small.width, pixels.height / small.height];
  return thinned(found, rules.overlap)
    .map((face) => ({
      x: face.x * sx,
      y: face.y * sy,
      width: face.width * sx,
      height: face.height * sy,
      score: face.score,
      landmarks: face.landmarks.map(([x, y]) => [x * sx, y * sy]),
    }))
    .filter((face) => face.width > 0 && face.height > 0 && face.landmarks.flat().every(Number.isFinite))
    .sort((one, other) => other.width * other.height - one.width * one.height);
}
