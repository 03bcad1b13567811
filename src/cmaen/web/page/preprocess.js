/**
 * From a face in a picture to the network's input: what alignment.py and preprocessing.py of the package do.
 *
 * @typedef {import('./pixels.js').Pixels} Pixels
 * @typedef {{x: number, y: number, width: number, height: number, score: number, landmarks: number[][]}} Face
 * @typedef {{image_size: number, grey: boolean, source_size: number | null, mean: number[], std: number[]}} Spec
 */
import { grey, rint, shrink, stretch, warp } from './pixels.js';

/**
 * A face cut out: a square around the middle of its box, turned so that the eyes are level.
 * @param {Pixels} pixels RGB.
 * @param {Face} face
 * @param {{margin: number, landmark_margin: number, max_side: number}} spec The crop's side over the longer side of the
 *     box, without landmarks and with them, and the most pixels that it may have.
 * @returns {Pixels}
 */
export function cropFace(pixels, face, spec) {
  const [left, right] = face.landmarks;
  const angle = left ? Math.atan2(right[1] - left[1], right[0] - left[0]) : 0;
  const wanted = Math.max(face.width, face.height) * (left ? spec.landmark_margin : spec.margin);
  const side = Math.min(Math.max(rint(wanted), 1), spec.max_side);
  const scale = side / Math.max(wanted, 1);
  const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
  const x = face.x + face.width / 2 - 0.5;
  const y = face.y + face.height / 2 - 0.5;
  const middle = side / 2 - 0.5;
  return warp(pixels, [cos, sin, middle - cos * x - sin * y, -sin, cos, middle + sin * x - cos * y], side);
}

/** An image as a square: area average to shrink, bilinear to enlarge. */
export function square(pixels, side) {
  if (pixels.width === side && pixels.height === side) return pixels;
  return Math.min(pixels.width, pixels.height) > side ? shrink(pixels, side, side) : stretch(pixels, side, side);
}

/**
 * What of a crop the network sees, in as few pixels as hold it.
 * @param {Pixels} crop RGB.
 * @param {Spec} spec
 * @param {number | null} side A larger crop is reduced to it; `null` for no reduction.
 * @returns {Pixels} Of one channel where colour is dropped.
 */
export function reduce(crop, spec, side = spec.source_size ?? spec.image_size) {
  const pixels = spec.grey ? grey(crop) : crop;
  return side !== null && Math.min(pixels.width, pixels.height) > side ? shrink(pixels, side, side) : pixels;
}

/**
 * The network's input for one crop.
 * @param {Pixels} crop RGB.
 * @param {Spec} spec
 * @param {Float32Array} out Where it goes, [3, image_size, image_size].
 */
export function writeInput(crop, spec, out) {
  let pixels = reduce(crop, spec, spec.source_size);
  pixels = square({ ...pixels, data: Float32Array.from(pixels.data) }, spec.image_size); // rounded no more
  const area = spec.image_size ** 2;
  for (let channel = 0; channel < 3; channel += 1) {
    const scale = 1 / (255 * spec.std[channel]);
    const shift = spec.mean[channel] / spec.std[channel];
    const from = spec.grey ? 0 : channel;
    for (let i = 0; i < area; i += 1) {
      out[channel * area + i] = pixels.data[i * pixels.channels + from] * scale - shift;
    }
  }
}

/**
 * Calibrated probabilities.
 * @param {Float32Array} logits
 * @param {number} temperature
 * @returns {number[]}
 */
export function softmax(logits, temperature) {
  const scaled = Array.from(logits, (value) => value / temperature);
  const most = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}
