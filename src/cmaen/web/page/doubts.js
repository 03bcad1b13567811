/** Why the network may be unsure of a face, or should be: what doubts.py of the package tells of the picture of it. */
import { grey, shrink } from './pixels.js';
import { square } from './preprocess.js';

/**
 * What speaks against the picture of a face: some of "small", "blurred", "dark" and "turned".
 * @param {import('./pixels.js').Pixels} crop The face, as the network sees it or larger.
 * @param {number[][]} landmarks Five of them, or none.
 * @param {{least_side: number, side: number, sharp: number, light: number, bright: number, turn: number}} limits
 * @returns {string[]}
 */
export function findDoubts(crop, landmarks, limits) {
  let face = crop.channels === 1 ? crop : grey(crop);
  const side = Math.min(face.width, face.height);
  if (side > limits.side) face = shrink(face, limits.side, limits.side);
  const found = [];
  if (side < limits.least_side) found.push('small');
  if (measureDetail(face) < limits.sharp) found.push('blurred');
  if (measureLight(face, limits.bright) < limits.light) found.push('dark');
  if (landmarks.length && measureTurn(landmarks) >= limits.turn) found.push('turned');
  return found;
}

/**
 * How far the confidence must fall because a face has little detail: a factor on the exponent of the probabilities.
 * @param {import('./pixels.js').Pixels} crop The face, as the network sees it or larger.
 * @param {{clear_side: number, clear: number, least_clarity: number}} limits
 * @returns {number}
 */
export function measureClarity(crop, limits) {
  const face = square(crop.channels === 1 ? crop : grey(crop), limits.clear_side);
  const share = Math.min(measureDetail(face) / limits.clear, 1);
  return limits.least_clarity + (1 - limits.least_clarity) * share;
}

/** The deviation of the fine detail of a face's middle over that of its grey levels. */
export function measureDetail({ width, height, data }) {
  const across = Math.max(1, Math.floor(width / 6));
  const down = Math.max(1, Math.floor(height / 6));
  const levels = [];
  const details = [];
  for (let y = down; y < height - down; y += 1) {
    for (let x = across; x < width - across; x += 1) {
      let sum = 0;
      for (let dy = -1; dy <= 1; dy += 1) {
        for (let dx = -1; dx <= 1; dx += 1) sum += data[(y + dy) * width + x + dx];
      }
      levels.push(data[y * width + x]);
      details.push(data[y * width + x] - sum / 9);
    }
  }
  return levels.length ? deviation(details) / Math.max(deviation(levels), 1) : 0;
}

/** The grey level that a share of the pixels does not pass. */
export function measureLight({ data }, share) {
  return Uint8Array.from(data).sort()[Math.floor(share * (data.length - 1))];
}

/** How far the nose is to the side, over the distance of the eyes. */
export function measureTurn([left, right, nose, ...mouth]) {
  const [across, down] = [right[0] - left[0], right[1] - left[1]];
  const off = (axis) => nose[axis] - (left[axis] + right[axis] + mouth[0][axis] + mouth[1][axis]) / 4;
  const square = across * across + down * down;
  return square > 0 ? Math.abs(off(0) * across + off(1) * down) / square : Infinity;
}

function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
