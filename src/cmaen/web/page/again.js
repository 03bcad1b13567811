/**
 * Looking at a picture again, turned and in tiles, and what is found several times: again.py of the package.
 *
 * @typedef {import('./pixels.js').Pixels} Pixels
 * @typedef {import('./preprocess.js').Face} Face
 * @typedef {{left: number, top: number, right: number, bottom: number}} Tile
 */
import { rint } from './pixels.js';

/**
 * A picture turned by so many quarters against the clock.
 * @param {Pixels} pixels
 * @param {1 | 2 | 3} quarters
 * @returns {Pixels}
 */
export function turn({ width, height, channels, data }, quarters) {
  const [w, h] = quarters === 2 ? [width, height] : [height, width];
  const origins = {
    1: (x, y) => [width - 1 - y, x],
    2: (x, y) => [width - 1 - x, height - 1 - y],
    3: (x, y) => [y, height - 1 - x],
  };
  const out = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1, to += channels) {
      const [column, row] = origins[quarters](x, y);
      const from = (row * width + column) * channels;
      for (let c = 0; c < channels; c += 1) out[to + c] = data[from + c];
    }
  }
  return { width: w, height: h, channels, data: out };
}

/**
 * A face of a turned picture in the picture as it was; its landmarks keep the order of the upright face.
 * @param {Face} face
 * @param {1 | 2 | 3} quarters
 * @param {number} width Of the picture as it was.
 * @param {number} height
 * @returns {Face}
 */
export function turnBack(face, quarters, width, height) {
  const moves = {
    1: ([x, y]) => [width - y, x],
    2: ([x, y]) => [width - x, height - y],
    3: ([x, y]) => [y, height - x],
  };
  return mapped(face, moves[quarters]);
}

/**
 * Square parts that cover a picture; larger ones where they would be too many.
 * @param {number} width
 * @param {number} height
 * @param {number} side
 * @param {{overlap: number, most: number}} rules
 * @returns {Tile[]}
 */
export function cutTiles(width, height, side, rules) {
  const [across, down] = [width, height].map((length) => starts(length, side, rules));
  if (across.length * down.length > rules.most) return cutTiles(width, height, 2 * side, rules);
  return down.flatMap((top) =>
    across.map((left) => ({
      left,
      top,
      right: Math.min(left + side, width),
      bottom: Math.min(top + side, height),
    })),
  );
}

/** Where tiles begin, evenly. */
function starts(length, side, { overlap }) {
  if (length <= side) return [0];
  const count = Math.ceil((length - side) / (side * (1 - overlap))) + 1;
  return Array.from({ length: count }, (_, number) => rint((number * (length - side)) / (count - 1)));
}

/**
 * The faces of a tile in the picture, without those that its border cuts: they are whole in the next tile.
 * @param {Face[]} faces
 * @param {Tile} tile
 * @param {number} width Of the picture.
 * @param {number} height
 * @param {{at_border: number}} rules
 * @returns {Face[]}
 */
export function place(faces, { left, top, right, bottom }, width, height, rules) {
  const slack = rules.at_border * Math.max(right - left, bottom - top);
  return faces
    .map((face) => mapped(face, ([x, y]) => [x + left, y + top]))
    .filter(
      (face) =>
        !(
          (left > 0 && face.x < left + slack) ||
          (top > 0 && face.y < top + slack) ||
          (right < width && face.x + face.width > right - slack) ||
          (bottom < height && face.y + face.height > bottom - slack)
        ),
    );
}

/**
 * All faces, and of those that are the same the one that is surer.
 * @param {Face[]} faces Different ones.
 * @param {Face[]} more Some that may be the same.
 * @param {{same: number}} rules
 * @param {number} betterBy How much surer one of those must be to replace one of `faces`.
 * @returns {Face[]}
 */
export function merge(faces, more, { same: least }, betterBy = 0) {
  let kept = faces;
  for (const face of [...more].sort((one, other) => other.score - one.score)) {
    const same = new Set(kept.filter((other) => shared(face, other) > least));
    if ([...same].every((other) => face.score >= other.score + betterBy)) {
      kept = [...kept.filter((other) => !same.has(other)), face];
    }
  }
  return kept;
}

/** How much of the smaller of two boxes lies in the other. */
function shared(one, other) {
  const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  const smaller = Math.min(one.width * one.height, other.width * other.height);
  return (Math.max(across, 0) * Math.max(down, 0)) / smaller;
}

function mapped(face, move) {
  const [[ax, ay], [bx, by]] = [move([face.x, face.y]), move([face.x + face.width, face.y + face.height])];
  const [x, y] = [Math.min(ax, bx), Math.min(ay, by)];
  const size = { width: Math.max(ax, bx) - x, height: Math.max(ay, by) - y };
  return { ...face, x, y, ...size, landmarks: face.landmarks.map(move) };
}
