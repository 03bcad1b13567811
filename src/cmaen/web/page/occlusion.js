/**
 * Where an answer comes from, by covering the face bit by bit: what occlusion.py and heat.py of the package compute.
 *
 * @typedef {{grid: number, patch: number, spread: number, least: number, colours: string[], opacity: number}} Rules
 */

/**
 * The network's input of a face with a soft grey patch at some of the places, by row and column.
 * @param {Float32Array} face [3, side, side].
 * @param {number} side
 * @param {Rules} rules
 * @param {number} first The first place, and
 * @param {number} count how many of them.
 * @returns {Float32Array} [count, 3, side, side].
 */
export function cover(face, side, { grid, patch }, first = 0, count = grid ** 2) {
  const area = side * side;
  const profile = profileOf(side, grid, patch * side);
  const means = [0, 1, 2].map(
    (channel) => face.subarray(channel * area, (channel + 1) * area).reduce((sum, value) => sum + value, 0) / area,
  );
  const out = new Float32Array(count * 3 * area);
  for (let number = 0; number < count; number += 1) {
    const [row, column] = [Math.floor((first + number) / grid), (first + number) % grid];
    for (let channel = 0; channel < 3; channel += 1) {
      const from = channel * area;
      const to = (3 * number + channel) * area;
      for (let y = 0; y < side; y += 1) {
        for (let x = 0; x < side; x += 1) {
          const at = y * side + x;
          const value = face[from + at];
          out[to + at] = value + profile[y * grid + row] * profile[x * grid + column] * (means[channel] - value);
        }
      }
    }
  }
  return out;
}

/**
 * By how much the log-odds of the first row's answer fall in each of the other rows.
 * @param {number[][]} rows Probabilities.
 * @param {number} sharpening The power by which they become a confidence.
 */
export function fallsOf(rows, sharpening) {
  const [odds, ...covered] = oddsOf(rows, sharpening);
  return covered.map((other) => odds - other);
}

function oddsOf(rows, sharpening) {
  const answer = rows[0].indexOf(Math.max(...rows[0]));
  return rows.map((row) => {
    const powers = row.map((share) => share ** sharpening);
    const all = powers.reduce((sum, power) => sum + power, 0);
    const rest = powers.reduce((sum, power, i) => (i === answer ? sum : sum + power), 0);
    return Math.log(Math.max(powers[answer] / all, Number.MIN_VALUE)) - Math.log(Math.max(rest / all, Number.MIN_VALUE));
  });
}

/**
 * The falls as a smooth map, from 0 to 1.
 * @param {number[]} falls By row and column.
 * @param {number} side
 * @param {Rules} rules
 * @returns {Float32Array} [side, side].
 */
export function spreadFalls(falls, side, { grid, spread, least }) {
  const weights = profileOf(side, grid, (spread * side) / grid);
  for (let at = 0; at < side; at += 1) {
    const row = weights.subarray(at * grid, (at + 1) * grid);
    const sum = row.reduce((total, value) => total + value, 0);
    for (let i = 0; i < grid; i += 1) row[i] /= sum;
  }
  const across = new Float64Array(grid * side); // each row of the grid, drawn out
  for (let row = 0; row < grid; row += 1) {
    for (let x = 0; x < side; x += 1) {
      for (let column = 0; column < grid; column += 1) {
        across[row * side + x] += weights[x * grid + column] * Math.max(falls[row * grid + column], 0);
      }
    }
  }
  const heat = new Float64Array(side * side);
  for (let y = 0; y < side; y += 1) {
    for (let row = 0; row < grid; row += 1) {
      const weight = weights[y * grid + row];
      for (let x = 0; x < side; x += 1) heat[y * side + x] += weight * across[row * side + x];
    }
  }
  const most = heat.reduce((highest, value) => Math.max(highest, value), least);
  return Float32Array.from(heat, (value) => value / most);
}

/**
 * The map alone, to be laid over a face: the warmer, the more opaque.
 * @param {Float32Array} heat
 * @param {Rules} rules
 * @returns {Uint8ClampedArray} RGBA.
 */
export function colourHeat(heat, { colours, opacity }) {
  const stops = colours.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)));
  const out = new Uint8ClampedArray(4 * heat.length); // which rounds
  heat.forEach((value, i) => {
    const place = Math.min(Math.max(value, 0), 1);
    const position = place * (stops.length - 1);
    const low = Math.min(Math.floor(position), stops.length - 2);
    for (let c = 0; c < 3; c += 1) {
      out[4 * i + c] = stops[low][c] + (stops[low + 1][c] - stops[low][c]) * (position - low);
    }
    out[4 * i + 3] = 255 * opacity * place;
  });
  return out;
}

/** A Gaussian around each place of the grid, 1 in its middle, along one side: [side, grid]. */
function profileOf(side, grid, deviation) {
  const out = new Float64Array(side * grid);
  for (let at = 0; at < side; at += 1) {
    for (let i = 0; i < grid; i += 1) {
      const centre = ((i + 0.5) * side) / grid - 0.5;
      out[at * grid + i] = Math.exp(-0.5 * ((at - centre) / deviation) ** 2);
    }
  }
  return out;
}
