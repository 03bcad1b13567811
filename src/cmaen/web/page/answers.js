/** What the networks found, as the package tells it. */
import { rint } from './pixels.js';

/**
 * A number with so many decimals, the nearest one, a tie to the even one, as Python rounds.
 * @param {number} value
 * @param {number} digits
 */
export function rounded(value, digits) {
  const tie = Number.isInteger(value * 2 ** (digits + 1)); // no other binary fraction lies in the middle
  return tie ? rint(value * 10 ** digits) / 10 ** digits : Number(value.toFixed(digits));
}

/** Pixels with one decimal, as every record has them. */
export function tenths(value) {
  return rounded(value, 1);
}

/**
 * A face and its probabilities.
 * @param {import('./preprocess.js').Face} face
 * @param {number[]} shares Of the labels; they sum to 1.
 * @param {{labels: string[], sharpening: number, scale?: number, identity?: number}} how `sharpening` is the power by
 *     which probabilities become a confidence, `scale` what the face's numbers are multiplied by.
 * @returns {import('./words.js').Answer}
 */
export function answerOf(face, shares, { labels, sharpening, scale = 1, ...more }) {
  if (!shares.every(Number.isFinite)) throw new Error('the network has overflowed; it has no answer for this picture');
  const best = shares.indexOf(Math.max(...shares));
  const powers = shares.map((share) => share ** sharpening);
  return {
    ...more,
    box: [face.x, face.y, face.width, face.height].map((value) => tenths(value * scale)),
    landmarks: face.landmarks.map((point) => point.map((value) => tenths(value * scale))),
    predicted_emotion: labels[best],
    confidence: sharpening === 1 ? shares[best] : powers[best] / powers.reduce((sum, power) => sum + power, 0),
    probabilities: Object.fromEntries(labels.map((label, i) => [label, shares[i]])),
  };
}

/**
 * The result of a picture.
 * @param {string} scheme
 * @param {import('./words.js').Answer[]} faces The largest first.
 */
export function resultOf(scheme, faces) {
  const { predicted_emotion = null, confidence = null, probabilities = null } = faces[0] ?? {};
  const answer = { predicted_emotion, confidence, probabilities, faces };
  return { status: faces.length ? 'ok' : 'no_face', error: null, scheme, ...answer };
}
