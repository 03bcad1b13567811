/**
 * The few operations on pixels that the network's input is made with, each rounding as OpenCV's does, so that the
 * answers in a browser are those of the Python package.
 *
 * @typedef {{width: number, height: number, channels: number, data: Uint8Array | Float32Array}} Pixels
 */

/** The nearest whole number, a tie to the even one, as OpenCV rounds. */
export function rint(value) {
  const up = Math.floor(value + 0.5);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

/**
 * RGB pixels of a canvas, without their opacity.
 * @param {ImageData} image
 * @returns {Pixels}
 */
export function fromImageData({ width, height, data }) {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return { width, height, channels: 3, data: rgb };
}

/**
 * One channel of brightness, by ITU-R BT.601 in the whole numbers that OpenCV takes.
 * @param {Pixels} pixels RGB.
 * @returns {Pixels}
 */
export function grey({ width, height, data }) {
  const out = new Uint8Array(width * height);
  for (let to = 0, from = 0; to < out.length; to += 1, from += 3) {
    out[to] = (data[from] * 9798 + data[from + 1] * 19235 + data[from + 2] * 3735 + 16384) >> 15;
  }
  return { width, height, channels: 1, data: out };
}

/** Which source pixels, with which shares, an output pixel averages: flat lists, and where each output begins. */
function areaTable(from, to) {
  const scale = from / to;
  const index = [];
  const share = [];
  const start = [0];
  for (let at = 0; at < to; at += 1) {
    const low = at * scale;
    const cell = Math.min(scale, from - low);
    const last = Math.min(Math.floor(low + scale), from - 1);
    const first = Math.min(Math.ceil(low), last);
    if (first - low > 1e-3) {
      index.push(first - 1);
      share.push((first - low) / cell);
    }
    for (let whole = first; whole < last; whole += 1) {
      index.push(whole);
      share.push(1 / cell);
    }
    if (low + scale - last > 1e-3) {
      index.push(last);
      share.push(Math.min(low + scale - last, 1, cell) / cell);
    }
    start.push(index.length);
  }
  return { index: Int32Array.from(index), share: Float32Array.from(share), start: Int32Array.from(start) };
}

/** Half the size, as OpenCV averages two by two whole numbers. */
function halved({ width, height, channels, data }) {
  const [w, h] = [width >> 1, height >> 1];
  const out = new Uint8Array(w * h * channels);
  for (let y = 0, to = 0; y < h; y += 1) {
    const row = 2 * y * width * channels;
    for (let x = 0; x < w; x += 1) {
      for (let c = 0; c < channels; c += 1, to += 1) {
        const a = row + 2 * x * channels + c;
        const b = a + width * channels;
        out[to] = (data[a] + data[a + channels] + data[b] + data[b + channels] + 2) >> 2;
      }
    }
  }
  return { width: w, height: h, channels, data: out };
}

/**
 * A smaller picture: each pixel is the average of the area that it covers (cv2.INTER_AREA); whole numbers stay whole.
 * @param {Pixels} pixels
 * @param {number} w
 * @param {number} h
 * @returns {Pixels}
 */
export function shrink(pixels, w, h) {
  const { width, height, channels, data } = pixels;
  if (width === w && height === h) return pixels;
  const whole = data instanceof Uint8Array;
  if (whole && width === 2 * w && height === 2 * h) return halved(pixels);
  const across = areaTable(width, w);
  const down = areaTable(height, h);
  const out = whole ? new Uint8Array(w * h * channels) : new Float32Array(w * h * channels);
  const line = new Float32Array(w * channels);
  const sum = new Float32Array(w * channels);
  for (let y = 0; y < h; y += 1) {
    sum.fill(0);
    for (let j = down.start[y]; j < down.start[y + 1]; j += 1) {
      const row = down.index[j] * width * channels;
      line.fill(0);
      for (let x = 0; x < w; x += 1) {
        for (let i = across.start[x]; i < across.start[x + 1]; i += 1) {
          const from = row + across.index[i] * channels;
          for (let c = 0; c < channels; c += 1) line[x * channels + c] += data[from + c] * across.share[i];
        }
      }
      for (let i = 0; i < sum.length; i += 1) sum[i] += line[i] * down.share[j];
    }
    for (let i = 0; i < sum.length; i += 1) out[y * sum.length + i] = whole ? rint(sum[i]) : sum[i];
  }
  return { width: w, height: h, channels, data: out };
}

/** Left neighbour and the share of the right one for every output pixel; as cv2.INTER_AREA enlarges, if that is asked. */
function linearTable(from, to, asArea) {
  const left = new Int32Array(to);
  const share = new Float32Array(to);
  for (let at = 0; at < to; at += 1) {
    const place = (at + 0.5) * (from / to) - 0.5;
    const low = Math.floor(asArea ? at * (from / to) : place);
    const right = asArea ? Math.max(at + 1 - (low + 1) * (to / from), 0) % 1 : place - low;
    left[at] = Math.min(Math.max(low, 0), from - 1);
    share[at] = low < 0 || low >= from - 1 ? 0 : right;
  }
  return { left, share };
}

/**
 * Another size between neighbouring pixels (cv2.INTER_LINEAR); whole numbers stay whole.
 * @param {Pixels} pixels
 * @param {number} w
 * @param {number} h
 * @param {{asArea?: boolean}} how As cv2.INTER_AREA does it where a side does not become smaller.
 * @returns {Pixels}
 */
export function stretch({ width, height, channels, data }, w, h, { asArea = false } = {}) {
  const across = linearTable(width, w, asArea);
  const down = linearTable(height, h, asArea);
  const whole = data instanceof Uint8Array;
  const out = whole ? new Uint8Array(w * h * channels) : new Float32Array(w * h * channels);
  const between = whole ? fixedBetween : exactBetween;
  for (let y = 0, to = 0; y < h; y += 1) {
    const top = down.left[y] * width;
    const bottom = Math.min(down.left[y] + 1, height - 1) * width;
    for (let x = 0; x < w; x += 1) {
      const left = across.left[x];
      const right = Math.min(left + 1, width - 1);
      for (let k = 0; k < channels; k += 1, to += 1) {
        const a = data[(top + left) * channels + k];
        const b = data[(top + right) * channels + k];
        const c = data[(bottom + left) * channels + k];
        const d = data[(bottom + right) * channels + k];
        out[to] = between(a, b, c, d, across.share[x], down.share[y]);
      }
    }
  }
  return { width: w, height: h, channels, data: out };
}

/** A value between four others: the upper two, and the lower two. */
function exactBetween(a, b, c, d, x, y) {
  const upper = a + (b - a) * x;
  const lower = c + (d - c) * x;
  return upper + (lower - upper) * y;
}

/** The same of whole numbers, in the fixed point of OpenCV: shares in 1/2048. */
function fixedBetween(a, b, c, d, x, y) {
  const right = rint(2048 * x);
  const below = rint(2048 * y);
  const upper = a * (2048 - right) + b * right;
  const lower = c * (2048 - right) + d * right;
  return ((((2048 - below) * (upper >> 4)) >> 16) + ((below * (lower >> 4)) >> 16) + 2) >> 2;
}

/**
 * A square cut out of a picture, turned and scaled (cv2.warpAffine, bilinear, the edge repeated), in the fixed point
 * of OpenCV: places in 1/32 of a pixel.
 * @param {Pixels} pixels RGB, whole numbers.
 * @param {number[]} matrix From the picture to the square: [a, b, c, d, e, f] for x' = a x + b y + c, y' = d x + e y + f.
 * @param {number} side
 * @returns {Pixels}
 */
export function warp({ width, height, channels, data }, matrix, side) {
  const [a, b, c, d, e, f] = matrix;
  const scale = 1 / (a * e - b * d);
  const [xx, xy, yx, yy] = [e * scale, -b * scale, -d * scale, a * scale];
  const fixed = (value) => rint(1024 * value);
  const across = Int32Array.from({ length: side }, (_, u) => fixed(xx * u));
  const down = Int32Array.from({ length: side }, (_, u) => fixed(yx * u));
  const out = new Uint8Array(side * side * channels);
  const inside = (value, size) => Math.min(Math.max(value, 0), size - 1);
  for (let v = 0, to = 0; v < side; v += 1) {
    const rowX = fixed(xy * v - (xx * c + xy * f)) + 16;
    const rowY = fixed(yy * v - (yx * c + yy * f)) + 16;
    for (let u = 0; u < side; u += 1) {
      const x = (rowX + across[u]) >> 5;
      const y = (rowY + down[u]) >> 5;
      const [dx, dy] = [x & 31, y & 31];
      const [left, right] = [inside(x >> 5, width), inside((x >> 5) + 1, width)];
      const top = inside(y >> 5, height) * width;
      const bottom = inside((y >> 5) + 1, height) * width;
      for (let k = 0; k < channels; k += 1, to += 1) {
        const upper = data[(top + left) * channels + k] * (32 - dx) + data[(top + right) * channels + k] * dx;
        const lower = data[(bottom + left) * channels + k] * (32 - dx) + data[(bottom + right) * channels + k] * dx;
        out[to] = (upper * (32 - dy) + lower * dy + 512) >> 10;
      }
    }
  }
  return { width: side, height: side, channels, data: out };
}
