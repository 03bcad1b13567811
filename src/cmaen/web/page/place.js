/**
 * Where the names of faces stand in a picture: beside their face, over no other face and no other name. Where there is no
 * room for a name it is shortened, in the end to a dot in the colour of the emotion, which a legend explains. The same
 * rules as `cmaen.drawing.placing`.
 *
 * @typedef {{x: number, y: number, width: number, height: number}} Area
 * @typedef {{kind: 'tag' | 'dot', text: string, word?: boolean, size: number, width: number, height: number, gap?: number}} Name
 * @typedef {Name & Area} Tag
 *
 * `word`: whether it tells the emotion in a word.
 */

const WORDS = 2; // so many names of a face are in words, the others in letters
const INSIDE_AT_LAST = 0.6; // of the height of a face: what a dot may take of it

/**
 * How thick the outline of a face is.
 * @param {number} face Its width.
 * @param {{longer: number, rules: object, scale?: number}} options `longer`: the picture's longer side.
 */
export function measureLine(face, { longer, rules, scale = 1 }) {
  const most = Math.max(rules.most_line * scale, longer / rules.line_of_picture);
  return Math.min(Math.max(face / rules.line_of_face, rules.least_line * scale), most);
}

/**
 * How large the text beside a face is; large sizes are rounded, so that a face that moves keeps its name.
 * @param {number} face Its width.
 * @param {{width: number, height: number, rules: object, scale?: number}} options Of the picture.
 */
export function measureText(face, { width, height, rules, scale = 1 }) {
  const least = Math.max(rules.least_text * scale, Math.max(width, height) / rules.text_of_picture);
  const most = Math.max(least, Math.min(width, height) / rules.most_text_of_picture);
  const size = Math.round(Math.min(Math.max(face / rules.text_of_face, least), most));
  return size - (size % Math.max(1, Math.floor(size / 12)));
}

/**
 * How large a name is.
 * @param {'tag' | 'dot'} kind
 * @param {string} text
 * @param {number} size Of the text, in pixels.
 * @param {(text: string, size: number) => number} measure How wide a text is.
 * @returns {Name}
 */
export function sizeName(kind, text, size, measure) {
  const wide = text ? measure(text, size) : 0;
  if (kind === 'tag') return { kind, text, size, width: wide + size * 1.64, height: size * 1.6 };
  const height = size * 1.3;
  return { kind, text, size, width: Math.max(height, wide + size * 0.6), height };
}

const hits = (one, other) =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

/** The names that may stand beside a face, from the longest to the dot; among many faces none is too wide. */
function namesOf({ box, tags, number }, picture) {
  const { rules, scale = 1, measure, many } = picture;
  const size = measureText(box.width, picture);
  const gap = measureLine(box.width, { ...picture, longer: Math.max(picture.width, picture.height) }) + Math.max(1, size / 5);
  const names = tags
    .map((text, index) => ({ ...sizeName('tag', text, size, measure), word: index < WORDS }))
    .filter(({ width }) => !many || width <= rules.widest * box.width);
  const small = Math.max(rules.least_text * scale, Math.round(0.85 * size));
  return [...names, sizeName('dot', number, small, measure)].map((name) => ({ ...name, gap }));
}

/** The places of a name, the best first: above, below, left, right, and inside the lower edge of its own face. */
function* placesOf(face, name, picture, inside) {
  const { gap } = name;
  const kept = (value, most) => Math.min(Math.max(value, 0), most);
  const lows = (start, length, own, most) =>
    [start + (length - own) / 2, start, start + length - own].map((value) => kept(value, most));
  const across = lows(face.x, face.width, name.width, picture.width - name.width);
  const down = lows(face.y, face.height, name.height, picture.height - name.height);
  for (const y of [face.y - gap - name.height, face.y + face.height + gap]) {
    for (const x of across) yield { x, y, within: false };
  }
  for (const x of [face.x - gap - name.width, face.x + face.width + gap]) {
    for (const y of down) yield { x, y, within: false };
  }
  const tooWide = name.kind === 'tag' && name.width > face.width; // a dot may jut out where that covers nobody
  if (tooWide || name.height > inside * face.height) return;
  for (const x of across) yield { x, y: face.y + face.height - gap - name.height, within: true };
}

/** The part of a box that lies in the picture; null where there is none. */
function clip({ x, y, width, height }, picture) {
  const [left, top] = [Math.max(x, 0), Math.max(y, 0)];
  const right = Math.min(x + width, picture.width);
  const bottom = Math.min(y + height, picture.height);
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

/**
 * A place for the name of each face. First every face, from the largest, has one for its dot; only then do names become
 * longer, all of them step by step, so that a long one takes the room of nobody.
 * @param {{box: Area, tags: string[], number: string}[]} faces `tags` from the longest to the shortest, `number` what a
 *     dot still tells.
 * @param {{width: number, height: number, rules: object, measure: (text: string, size: number) => number,
 *          scale?: number}} options Of the picture; `scale`: how many of its pixels a reader sees as one.
 * @returns {(Tag | null)[]} For each face; null where even a dot would hide something.
 */
export function placeTags(faces, { width, height, rules, measure, scale = 1 }) {
  const picture = { width, height, rules, measure, scale, many: faces.length > rules.few };
  const boxes = faces.map(({ box }) => clip(box, picture));
  const names = faces.map((face) => namesOf(face, picture));
  const order = faces.map((_, index) => index);
  order.sort((one, other) => area(faces[other].box) - area(faces[one].box) || one - other);
  const tags = faces.map(() => null);

  const isFree = (place, index) =>
    place.x >= 0 &&
    place.y >= 0 &&
    place.x + place.width <= width &&
    place.y + place.height <= height &&
    boxes.every((box, other) => !box || (place.within && other === index) || !hits(place, box)) &&
    tags.every((tag, other) => !tag || other === index || !hits(place, tag));

  const take = (index, from, inside) => {
    if (!boxes[index]) return;
    for (const name of from) {
      for (const { within, ...place } of placesOf(boxes[index], name, picture, inside)) {
        if (!isFree({ ...name, ...place, within }, index)) continue;
        tags[index] = { ...name, ...place };
        return;
      }
    }
  };
  for (const index of order) take(index, names[index].slice(-1), INSIDE_AT_LAST);
  const most = names.reduce((longest, own) => Math.max(longest, own.length), 0);
  for (let length = 2; length <= most; length += 1) {
    for (const index of order) {
      if (names[index].length >= length) take(index, [names[index].at(-length)], rules.inside);
    }
  }
  return tags;
}

function area({ width, height }) {
  return width * height;
}
