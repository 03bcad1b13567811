/**
 * YuNet as the package runs it: the picture made small, padded, searched; boxes decoded and thinned out; and looked at
 * again where that may find more.
 *
 * @typedef {import('./pixels.js').Pixels} Pixels
 * @typedef {import('./preprocess.js').Face} Face
 * @typedef {(planes: Float32Array, dims: number[]) => Promise<object>} Run The network.
 * @typedef {object} Rules The numbers of the package, see `detector` in the page's config.json.
 */
import { cutTiles, merge, place, turn, turnBack } from './again.js';
import { rint, shrink, stretch } from './pixels.js';

/** The picture with its longer side at most `most`: halved as often as possible, then averaged, or interpolated. */
function shrunk(pixels, most, { quickly = false } = {}) {
  let small = pixels;
  while (Math.max(small.width, small.height) >= 2 * most && Math.min(small.width, small.height) > 1) {
    const [width, height] = [small.width >> 1, small.height >> 1];
    small = shrink(cut(small, { right: 2 * width, bottom: 2 * height }), width, height);
  }
  const factor = most / Math.max(small.width, small.height);
  if (factor >= 1) return small;
  const [width, height] = [small.width, small.height].map((side) => Math.max(1, rint(side * factor)));
  return quickly && factor > 1 / 2 ? stretch(small, width, height) : shrink(small, width, height);
}

/** A part of a picture. */
function cut({ width, height, channels, data }, { left = 0, top = 0, right, bottom }) {
  if (right - left === width && bottom - top === height) return { width, height, channels, data };
  const [w, h] = [right - left, bottom - top];
  const out = new Uint8Array(w * h * channels);
  for (let y = 0; y < h; y += 1) {
    const from = ((top + y) * width + left) * channels;
    out.set(data.subarray(from, from + w * channels), y * w * channels);
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
      const score = Math.fround(Math.sqrt(Math.fround(unit(cls[at]) * unit(obj[at]))));
      if (!(score > Math.fround(least))) continue; // nor what is not a number
      const width = Math.fround(Math.exp(box[4 * at + 2])) * stride;
      const height = Math.fround(Math.exp(box[4 * at + 3])) * stride;
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

/** Whether two boxes lie over each other too far, in whole pixels, by intersection over union. */
function overlaps(first, second, most) {
  const [ax, ay, aw, ah, bx, by, bw, bh] = [first, second].flatMap((face) =>
    [face.x, face.y, face.width, face.height].map(Math.trunc),
  );
  const width = Math.max(0, Math.min(ax + aw, bx + bw) - Math.max(ax, bx));
  const height = Math.max(0, Math.min(ay + ah, by + bh) - Math.max(ay, by));
  return width * height > most * (aw * ah + bw * bh - width * height);
}

/** The surest faces, without those that overlap a surer one. */
function thinned(found, { overlap, most }) {
  const kept = [];
  for (const face of [...found].sort((one, other) => other.score - one.score).slice(0, most)) {
    if (!kept.some((other) => overlaps(face, other, overlap))) kept.push(face);
  }
  return kept;
}

/** The faces that are found in a small picture, in the pixels of the large one of that size. */
async function searched(small, width, height, run, rules) {
  const { w, h, out } = planes(small, rules);
  const outputs = await run(out, [1, 3, h, w]);
  const found = [];
  for (const stride of rules.strides) decode(outputs, stride, w / stride, h / stride, rules.min_score, found);
  const [sx, sy] = [width / small.width, height / small.height];
  return thinned(found, rules)
    .map((face) => ({
      x: face.x * sx,
      y: face.y * sy,
      width: face.width * sx,
      height: face.height * sy,
      score: face.score,
      landmarks: face.landmarks.map(([x, y]) => [x * sx, y * sy]),
    }))
    .filter((face) => face.width > 0 && face.height > 0 && face.landmarks.flat().every(Number.isFinite));
}

/** The faces that are found, and for sure, where the picture is turned. */
async function searchedTurned(small, width, height, run, rules) {
  const found = [];
  for (const quarters of [2, 1, 3]) {
    const size = quarters === 2 ? [width, height] : [height, width];
    const faces = await searched(turn(small, quarters), ...size, run, rules);
    const sure = faces.filter((face) => face.score >= rules.sure);
    found.push(...sure.map((face) => turnBack(face, quarters, width, height)));
  }
  return found;
}

/** The faces that are found in tiles of a picture. */
async function searchedInTiles(pixels, run, rules) {
  const { width, height } = pixels;
  let found = [];
  for (const tile of cutTiles(width, height, rules.tiles.side * rules.max_side, rules.tiles)) {
    const part = cut(pixels, tile);
    const inside = await searched(shrunk(part, rules.max_side), part.width, part.height, run, rules);
    found = merge(found, place(inside, tile, width, height, rules.tiles), rules);
  }
  return found;
}

const byArea = (one, other) => other.width * other.height - one.width * one.height;

/**
 * The faces of a still picture, the largest first; it is looked at again as the package does it.
 * @param {Pixels} pixels RGB.
 * @param {Run} run
 * @param {Rules} rules
 * @returns {Promise<Face[]>}
 */
export async function findFaces(pixels, run, rules) {
  const { width, height } = pixels;
  const longer = Math.max(width, height);
  const small = shrunk(pixels, rules.max_side);
  let faces = await searched(small, width, height, run, rules);
  if (!faces.some((face) => face.score >= rules.sure)) {
    faces = merge(faces, await searchedTurned(small, width, height, run, rules), rules, rules.better);
  }
  let far = rules.max_side * (faces.length ? rules.tiles.far : rules.tiles.large);
  if (longer >= rules.max_side * rules.closer_from) {
    const more = await searched(shrunk(pixels, rules.closer, { quickly: true }), width, height, run, rules);
    const surer = more.filter((face) => face.score >= rules.min_score + rules.closer_score);
    faces = merge(faces, surer, rules, Infinity); // what is found already stays as it is
    far = Math.max(far, rules.closer * rules.tiles.side);
  }
  if (longer > far) faces = merge(faces, await searchedInTiles(pixels, run, rules), rules);
  return [...faces].sort(byArea);
}

/**
 * The faces of a live frame, the largest first: one look, since the next frame comes soon.
 * @param {Pixels} pixels RGB.
 * @param {Run} run
 * @param {Rules} rules
 * @param {number} most Longer side, in pixels, of what is searched.
 * @returns {Promise<Face[]>}
 */
export async function glimpseFaces(pixels, run, rules, most) {
  const faces = await searched(shrunk(pixels, most), pixels.width, pixels.height, run, rules);
  return faces.sort(byArea);
}
