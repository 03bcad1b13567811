/** Who is who from frame to frame, and answers that do not flicker: tracking.py's rules, without the optical flow. */

const MIN_OVERLAP = 0.25;
const MEMORY = 1;
const SMOOTHING = 0.4;

/** Intersection over union of two boxes [x, y, width, height]. */
function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (aw * ah + bw * bh - width * height);
}

/** Gives the faces of a video their identities, and smooths their answers over time. */
export class Tracker {
  #tracks = [];
  #count = 0;

  /**
   * The tracks of the faces in the next frame, in the order of the faces: identity, the face now, and its shares of
   * the emotions, null before it was first classified.
   * @param {{box: number[]}[]} faces
   * @param {number} time In seconds.
   */
  follow(faces, time) {
    this.#tracks = this.#tracks.filter((track) => Math.abs(time - track.seen) <= MEMORY);
    const pairs = [];
    for (const face of faces) {
      for (const track of this.#tracks) pairs.push({ face, track, shared: overlap(face.box, track.face.box) });
    }
    const taken = new Map();
    const used = new Set();
    for (const { face, track, shared } of pairs.sort((one, other) => other.shared - one.shared)) {
      if (shared < MIN_OVERLAP || taken.has(face) || used.has(track)) continue;
      taken.set(face, track);
      used.add(track);
    }
    return faces.map((face) => {
      const track = taken.get(face) ?? this.#begun();
      track.face = face;
      track.seen = time;
      return track;
    });
  }

  #begun() {
    this.#count += 1;
    const track = { identity: this.#count, shares: null, updated: 0 };
    this.#tracks.push(track);
    return track;
  }
}

/** Take a new answer into a track; what is 0.4 seconds old counts 1/e of it. */
export function update(track, shares, time) {
  const share = 1 - Math.exp(-Math.max(time - track.updated, 0) / SMOOTHING);
  track.shares = track.shares?.map((old, i) => old + share * (shares[i] - old)) ?? shares;
  track.updated = time;
}
