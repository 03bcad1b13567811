/** What many pictures show, all together: counts by emotion, and the pictures of each, in an order. */
import { describe } from './words.js';

/** The orders of pictures, and how they are called. */
export const ORDERS = {
  added: 'As added',
  surest: 'Most confident first',
  unsurest: 'Least confident first',
  emotion: 'By emotion',
};

const emotionKey = (label) => `emotion ${label}`; // a label of the user's own may be called "unsure"

/** Of one face: the emotion, or "unsure". */
function groupOf(face, unsureBelow) {
  return describe(face, unsureBelow).sure ? emotionKey(face.predicted_emotion) : 'unsure';
}

/** The faces of a result that count: those of a picture that was taken as one face in vain do not. */
function facesOf(result) {
  return result.note ? [] : result.faces;
}

/**
 * The groups in which a picture is.
 * @param {object | null} result Of an engine; null while it is waited for.
 * @param {number} unsureBelow
 * @returns {Set<string>}
 */
export function groupsOf(result, unsureBelow) {
  if (!result) return new Set();
  if (result.status === 'error') return new Set(['error']);
  const faces = facesOf(result);
  return faces.length ? new Set(faces.map((face) => groupOf(face, unsureBelow))) : new Set(['no_face']);
}

/**
 * What all pictures show: of each emotion the faces, then those that are unsure, the pictures without a face and those
 * that cannot be read.
 * @param {(object | null)[]} results
 * @param {string[]} labels
 * @param {number} unsureBelow
 * @returns {{key: string, label: string, emotion: string | null, faces: number, pictures: number}[]} Those that there are.
 */
export function countGroups(results, labels, unsureBelow) {
  const groups = new Map(labels.map((label) => [emotionKey(label), { label, emotion: label }]));
  groups.set('unsure', { label: 'unsure', emotion: null });
  groups.set('no_face', { label: 'without a face', emotion: null });
  groups.set('error', { label: 'unreadable', emotion: null });
  for (const group of groups.values()) Object.assign(group, { faces: 0, pictures: 0 });
  for (const result of results) {
    for (const key of groupsOf(result, unsureBelow)) groups.get(key).pictures += 1;
    for (const face of result ? facesOf(result) : []) groups.get(groupOf(face, unsureBelow)).faces += 1;
  }
  return [...groups].map(([key, group]) => ({ key, ...group })).filter((group) => group.pictures);
}

/**
 * Pictures in an order; those without a face come last, and those that are alike stay as they were added.
 * @template {{result: object | null}} Item
 * @param {Item[]} items As they were added.
 * @param {keyof typeof ORDERS} order
 * @param {{labels: string[], unsureBelow: number}} look
 * @returns {Item[]}
 */
export function sortItems(items, order, { labels, unsureBelow }) {
  if (order === 'added') return [...items];
  const rank = (item) => {
    const face = item.result && facesOf(item.result)[0]; // the largest
    if (!face) return [Infinity, 0];
    if (order === 'surest') return [0, -face.confidence];
    if (order === 'unsurest') return [0, face.confidence];
    const sure = describe(face, unsureBelow).sure;
    return [sure ? labels.indexOf(face.predicted_emotion) : labels.length, -face.confidence];
  };
  const ranked = items.map((item, index) => ({ item, index, rank: rank(item) }));
  ranked.sort(
    (one, other) => compare(one.rank[0], other.rank[0]) || compare(one.rank[1], other.rank[1]) || one.index - other.index,
  );
  return ranked.map(({ item }) => item);
}

function compare(one, other) {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
