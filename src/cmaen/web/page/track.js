/**
 * Who is who from frame to frame, and answers that do not flicker: the rules and numbers of scenes.py, likeness.py and
 * tracking.py, but for the optical flow, in place of which every frame is searched and every face compared.
 */
import { grey, rint, shrink, stretch } from './pixels.js';

/**
 * What is remembered of a frame to compare the next one with.
 * @param {import('./pixels.js').Pixels} pixels RGB.
 * @param {{side: number, samples: number, blocks: number, levels: number}} rules
 * @returns {{size: string, blocks: Float32Array, colours: Float32Array}}
 */
export function glanceAt({ width, height, data }, { side: most, samples, blocks: across, levels }) {
  const blocks = new Float32Array(across * across * 3);
  const colours = new Float32Array(levels ** 3);
  const side = samples / across;
  for (let row = 0; row < samples; row += 1) {
    const y = Math.floor((row * height) / samples);
    for (let column = 0; column < samples; column += 1) {
      const from = 3 * (y * width + Math.floor((column * width) / samples));
      const to = 3 * (Math.floor(row / side) * across + Math.floor(column / side));
      for (let c = 0; c < 3; c += 1) blocks[to + c] += data[from + c] / side ** 2;
      colours[binOf(data, from, levels)] += 1 / samples ** 2;
    }
  }
  const scale = Math.min(1, most / Math.max(width, height));
  const size = [width, height].map((length) => Math.max(1, rint(length * scale))); // small differences are none
  return { size: size.join(' '), blocks, colours };
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
 * @param {{side: number, levels: number, mean: number, deviation: number, flat: number}} rules
 */
export function likenessOf(crop, { side, levels, mean: usualMean, deviation, flat }) {
  const small = { width: 2 * side, height: 2 * side, channels: 3, data: squared(crop, 2 * side) };
  const light = grey(small);
  const mean = light.data.reduce((sum, value) => sum + value, 0) / light.data.length;
  const variance = light.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / light.data.length;
  const gain = deviation / Math.max(Math.sqrt(variance), flat);
  const usual = Uint8Array.from(small.data, (value) => Math.min(Math.max((value - mean) * gain + usualMean, 0), 255));
  return { shape: shrink(light, side, side).data, colours: [histogram(small.data, levels), histogram(usual, levels)] };
}

/** How alike two faces are, from below 0 to 1; 0 where nothing is known of one of them. */
export function alike(one, other, rules) {
  if (!one || !other) return 0;
  const shared = one.colours.map((colours, i) =>
    colours.reduce((sum, share, bin) => sum + Math.min(share, other.colours[i][bin]), 0),
  );
  return (correlation(one.shape, other.shape, rules) + Math.max(...shared)) / 2;
}

function binOf(data, at, levels) {
  const level = (c) => Math.floor((data[at + c] * levels) / 256);
  return (level(0) * levels + level(1)) * levels + level(2);
}

function histogram(data, levels) {
  const counts = new Float32Array(levels ** 3);
  for (let at = 0; at < data.length; at += 3) counts[binOf(data, at, levels)] += 3 / data.length;
  return counts;
}

function distance(one, other) {
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0);
}

function squared(crop, side) {
  if (Math.min(crop.width, crop.height) >= side) return shrink(crop, side, side).data;
  return stretch(crop, side, side, { asArea: true }).data;
}

/** The best correlation of the middle of one small face with a part of the other; 0 where one is of one grey. */
function correlation(one, other, { side, margin, flat }) {
  const part = side - 2 * margin;
  const middle = centred(other, side, margin, margin, part);
  let best = 0;
  for (let top = 0; top <= 2 * margin; top += 1) {
    for (let left = 0; left <= 2 * margin; left += 1) {
      const window = centred(one, side, left, top, part);
      const length = Math.sqrt(product(window, window) * product(middle, middle));
      if (length > flat * part ** 2) best = Math.max(best, product(window, middle) / length);
    }
  }
  return best;
}

function centred(shape, width, left, top, side) {
  const values = new Float64Array(side * side);
  for (let i = 0; i < values.length; i += 1) values[i] = shape[(top + Math.floor(i / side)) * width + left + (i % side)];
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

/** Whether so many seconds have passed, as clocks of milliseconds tell; also where the clock has gone back. */
function isOver(since, time, seconds, { jitter }) {
  return !(time - since >= 0 && time - since < seconds - jitter);
}

/** Whether so many seconds have passed, or a full minute has begun since then. */
function isAgain(since, time, seconds, rules) {
  const { minute } = rules;
  return isOver(since, time, seconds, rules) || Math.floor(since / minute) !== Math.floor(time / minute);
}

/** The track of each face: the pairs that fit best, and well enough. */
function pair(tracks, faces, fit, least) {
  const pairs = [];
  for (const track of tracks) for (const face of faces) pairs.push({ face, track, fits: fit(track, face) });
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

  /** @param {object} rules The numbers of the package, see the page's config.json. */
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
    if (!this.#last || isCut(now, this.#last, rules.scenes)) {
      this.#scenes = [];
      for (const track of this.#tracks) track.lost = track.parted = true;
    }
    [this.#last, this.#time] = [now, time];
    const slowly = this.#changesSlowly(now, time) && steady;
    this.#tracks = this.#tracks.filter(({ lost, seen }) => !lost || Math.abs(time - seen) <= rules.memory);
    const looks = new Map();
    const likeness = (track, face) => {
      if (!looks.has(face)) looks.set(face, lookAt(face));
      return alike(track.look, looks.get(face), rules.likeness);
    };
    const shown = this.#tracks.filter(({ lost }) => !lost);
    const taken = pair(shown, faces, (track, face) => overlap(track.face.box, face.box), rules.min_overlap);
    for (const [face, track] of [...taken]) {
      if (likeness(track, face) < rules.likeness.continued) taken.delete(face);
    }
    const used = new Set(taken.values());
    const again = pair(
      this.#tracks.filter((track) => !used.has(track)),
      faces.filter((face) => !taken.has(face)),
      (track, face) => this.#resumes(track, face, likeness),
      rules.likeness.continued,
    );
    for (const track of again.values()) track.shares = null; // what was answered before the thread was cut
    const found = faces.map((face) => {
      const track = taken.get(face) ?? again.get(face) ?? this.#begun();
      const since = !taken.has(face) ? 0 : slowly ? rules.longest : steady ? rules.refresh : 0;
      const passed = taken.has(face) && steady && !slowly ? isAgain : isOver;
      if (passed(track.compared, time, since, rules)) {
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
    const { reach, growth } = this.rules;
    const { alike: strict, continued } = this.rules.likeness;
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
    const { rules } = this;
    while (this.#scenes.length && isOver(this.#scenes[0].time, time, rules.slowly, rules)) this.#scenes.shift();
    const changes = this.#scenes.some(({ glance }) => isCut(now, glance, rules.scenes));
    const last = this.#scenes[this.#scenes.length - 1];
    if (!last || isOver(last.time, time, rules.search_every, rules)) this.#scenes.push({ time, glance: now });
    return changes;
  }

  #begun() {
    this.#count += 1;
    const track = { identity: this.#count, shares: null, clarity: 1, updated: -Infinity, look: null, compared: -Infinity };
    this.#tracks.push(track);
    return track;
  }
}

/** Whether a track's answer is missing, or old. */
export function isDue(track, time, rules) {
  return track.shares === null || isAgain(track.updated, time, rules.classify_every, rules);
}

/** Take a new answer into a track; what is as many seconds old as are smoothed over counts 1/e of it. */
export function update(track, shares, time, { smoothing }) {
  const share = 1 - Math.exp(-Math.max(time - track.updated, 0) / smoothing);
  const old = smoothing <= 0 || track.shares?.some(Number.isNaN) ? null : track.shares;
  track.shares = old?.map((value, i) => value + share * (shares[i] - value)) ?? shares;
  track.updated = time;
}
