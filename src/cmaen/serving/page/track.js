/**
 * Who is who from frame to frame, and answers that do not flicker: the rules and numbers of scenes.py, likeness.py and
 * tracking.py, but for the optical flow, in place of which every frame is searched and every face compared.
 */
import { grey, rint, shrink, stretch } from './pixels.js';

const SAMPLES = 64;
const BLOCKS = 16;
const SCENE_LEVELS = 6;
const SIDE = 20;
const MARGIN = 3;
const FACE_LEVELS = 8;
const MEAN = 128;
const DEVIATION = 48;
const JITTER = 0.002; // seconds that clocks of milliseconds are wrong by

/**
 * What is remembered of a frame to compare the next one with.
 * @param {import('./pixels.js').Pixels} pixels RGB.
 * @returns {{size: string, blocks: Float32Array, colours: Float32Array}}
 */
export function glanceAt({ width, height, data }) {
  const blocks = new Float32Array(BLOCKS * BLOCKS * 3);
  const colours = new Float32Array(SCENE_LEVELS ** 3);
  const side = SAMPLES / BLOCKS;
  for (let row = 0; row < SAMPLES; row += 1) {
    const y = Math.floor((row * height) / SAMPLES);
    for (let column = 0; column < SAMPLES; column += 1) {
      const from = 3 * (y * width + Math.floor((column * width) / SAMPLES));
      const to = 3 * (Math.floor(row / side) * BLOCKS + Math.floor(column / side));
      for (let c = 0; c < 3; c += 1) blocks[to + c] += data[from + c] / side ** 2;
      colours[binOf(data, from, SCENE_LEVELS)] += 1 / SAMPLES ** 2;
    }
  }
  return { size: `${width} ${height}`, blocks, colours };
}

/** Whether a frame begins another scene than one before: it has other colours, and has them in other places. */
export function isCut(now, before, rules) {
  if (now.size !== before.size) return true;
  return (
    distance(now.colours, before.colours) / 2 > rules.cut_colours &&
    distance(now.blocks, before.blocks) / now.blocks.length > rules.cut_blocks
  );
}

/**
 * What a face is recognised by: its shape, and how often each colour occurs in it, as it is and at a usual brightness.
 * @param {import('./pixels.js').Pixels} crop RGB.
 */
export function likenessOf(crop) {
  const small = { width: 2 * SIDE, height: 2 * SIDE, channels: 3, data: squared(crop, 2 * SIDE) };
  const light = grey(small);
  const mean = light.data.reduce((sum, value) => sum + value, 0) / light.data.length;
  const variance = light.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / light.data.length;
  const gain = DEVIATION / Math.max(Math.sqrt(variance), 1);
  const usual = Uint8Array.from(small.data, (value) => Math.min(Math.max((value - mean) * gain + MEAN, 0), 255));
  return { shape: shrink(light, SIDE, SIDE).data, colours: [histogram(small.data), histogram(usual)] };
}

/** How alike two faces are, from below 0 to 1; 0 where nothing is known of one of them. */
export function alike(one, other) {
  if (!one || !other) return 0;
  const shared = one.colours.map((colours, i) =>
    colours.reduce((sum, share, bin) => sum + Math.min(share, other.colours[i][bin]), 0),
  );
  return (correlation(one.shape, other.shape) + Math.max(...shared)) / 2;
}

function binOf(data, at, levels) {
  const level = (c) => Math.floor((data[at + c] * levels) / 256);
  return (level(0) * levels + level(1)) * levels + level(2);
}

function histogram(data) {
  const counts = new Float32Array(FACE_LEVELS ** 3);
  for (let at = 0; at < data.length; at += 3) counts[binOf(data, at, FACE_LEVELS)] += 3 / data.length;
  return counts;
}

function distance(one, other) {
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0);
}

function squared(crop, side) {
  if (Math.min(crop.width, crop.height) >= side) return shrink(crop, side, side).data;
  return Uint8Array.from(stretch(crop, side, side).data, rint);
}

/** The best correlation of the middle of one small face with a part of the other; 0 where one is of one grey. */
function correlation(one, other) {
  const part = SIDE - 2 * MARGIN;
  const middle = centred(other, MARGIN, MARGIN, part);
  let best = 0;
  for (let top = 0; top <= 2 * MARGIN; top += 1) {
    for (let left = 0; left <= 2 * MARGIN; left += 1) {
      const window = centred(one, left, top, part);
      const length = Math.sqrt(product(window, window) * product(middle, middle));
      if (length > part ** 2) best = Math.max(best, product(window, middle) / length);
    }
  }
  return best;
}

function centred(shape, left, top, side) {
  const values = new Float64Array(side * side);
  for (let i = 0; i < values.length; i += 1) values[i] = shape[(top + Math.floor(i / side)) * SIDE + left + (i % side)];
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

function product(one, other) {
  return one.reduce((sum, value, i) => sum + value * other[i], 0);
}

/** Intersection over union of two boxes [x, y, width, height]. */
function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (aw * ah + bw * bh - width * height);
}

/** Whether so many seconds have passed; also where the clock has gone back. */
function isOver(since, time, seconds) {
  return !(time - since >= 0 && time - since < seconds - JITTER);
}

/** The track of each face: the pairs that fit best, and well enough. */
function pair(tracks, faces, fit, least) {
  const pairs = [];
  for (const face of faces) for (const track of tracks) pairs.push({ face, track, fits: fit(track, face) });
  const taken = new Map();
  const used = new Set();
  for (const { face, track, fits } of pairs.sort((one, other) => other.fits - one.fits)) {
    if (fits < least || taken.has(face) || used.has(track)) continue;
    taken.set(face, track);
    used.add(track);
  }
  return taken;
}

/** Gives the faces of a video their identities. */
export class Tracker {
  #tracks = [];
  #scenes = [];
  #count = 0;
  #last = null;
  #time = -Infinity;

  /** @param {Record<string, number>} rules The numbers of the package, see the page's config.json. */
  constructor(rules) {
    this.rules = rules;
  }

  /**
   * The tracks of the faces in the next frame, in the order of the faces: identity, the face now, and its shares of
   * the emotions, null before it was first classified.
   * @param {{box: number[]}[]} faces
   * @param {object} now What glanceAt gives of the frame.
   * @param {number} time In seconds.
   * @param {(face: object) => object} lookAt What likenessOf gives of a face; asked once at most.
   */
  follow(faces, now, time, lookAt) {
    const { rules } = this;
    const steady = time - this.#time >= 0 && time - this.#time <= rules.gap;
    if (!this.#last || isCut(now, this.#last, rules)) {
      this.#scenes = [];
      for (const track of this.#tracks) track.lost = track.parted = true;
    }
    [this.#last, this.#time] = [now, time];
    const slowly = this.#changesSlowly(now, time) && steady;
    this.#tracks = this.#tracks.filter(({ lost, seen }) => !lost || Math.abs(time - seen) <= rules.memory);
    const looks = new Map();
    const likeness = (track, face) => {
      if (!looks.has(face)) looks.set(face, lookAt(face));
      return alike(track.look, looks.get(face));
    };
    const shown = this.#tracks.filter(({ lost }) => !lost);
    const taken = pair(shown, faces, (track, face) => overlap(track.face.box, face.box), rules.min_overlap);
    for (const [face, track] of [...taken]) {
      if (likeness(track, face) < rules.continued) taken.delete(face);
    }
    const used = new Set(taken.values());
    const again = pair(
      this.#tracks.filter((track) => !used.has(track)),
      faces.filter((face) => !taken.has(face)),
      (track, face) => this.#resumes(track, face, likeness),
      rules.continued,
    );
    for (const track of again.values()) track.shares = null; // what was answered before the thread was cut
    const found = faces.map((face) => {
      const track = taken.get(face) ?? again.get(face) ?? this.#begun();
      const since = taken.has(face) ? (slowly ? rules.longest : rules.refresh) : 0;
      if (isOver(track.compared, time, since)) {
        if (!looks.has(face)) looks.set(face, lookAt(face));
        Object.assign(track, { look: looks.get(face), compared: time });
      }
      return Object.assign(track, { face, seen: time, parted: false });
    });
    for (const track of this.#tracks) track.lost = !found.includes(track);
    return found;
  }

  /** How alike a lost face and one nearby are; 0 where that is too little for what has come between them. */
  #resumes(track, face, likeness) {
    const { reach, growth, alike: strict, continued } = this.rules;
    const [x, y, width, height] = track.face.box;
    const [left, top, across, down] = face.box;
    const sides = [Math.max(width, height), Math.max(across, down)];
    const far = Math.hypot(x + width / 2 - left - across / 2, y + height / 2 - top - down / 2);
    if (far > reach * Math.max(...sides) || Math.max(...sides) > growth * Math.min(...sides)) return 0;
    const found = likeness(track, face);
    return found >= (track.parted ? strict : continued) ? found : 0;
  }

  /** Whether the scene is another one than a moment ago, though no two neighbouring frames have shown a cut. */
  #changesSlowly(now, time) {
    this.#scenes = this.#scenes.filter((scene) => !isOver(scene.time, time, this.rules.slowly));
    const changes = this.#scenes.some(({ glance }) => isCut(now, glance, this.rules));
    const last = this.#scenes[this.#scenes.length - 1];
    if (!last || isOver(last.time, time, this.rules.search_every)) this.#scenes.push({ time, glance: now });
    return changes;
  }

  #begun() {
    this.#count += 1;
    const track = { identity: this.#count, shares: null, updated: -Infinity, look: null, compared: -Infinity };
    this.#tracks.push(track);
    return track;
  }
}

/** Whether a track's answer is missing, or so many seconds old. */
export function isDue(track, time, every) {
  return track.shares === null || isOver(track.updated, time, every);
}

/** Take a new answer into a track; what is as many seconds old as are smoothed over counts 1/e of it. */
export function update(track, shares, time, smoothing) {
  const share = 1 - Math.exp(-Math.max(time - track.updated, 0) / smoothing);
  const old = track.shares?.some(Number.isNaN) ? null : track.shares;
  track.shares = old?.map((value, i) => value + share * (shares[i] - value)) ?? shares;
  track.updated = time;
}
