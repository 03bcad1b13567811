/**
 * What is said of a face, in one place.
 *
 * @typedef {{box: number[], landmarks: number[][], predicted_emotion: string, confidence: number,
 *            probabilities: Record<string, number>, identity?: number, doubts?: string[]}} Answer
 */

/** 0.983 -> "98%"; what is not nothing and less than half a percent: "<1%". */
export function percent(share) {
  return share > 0 && share < 0.005 ? '<1%' : `${Math.round(100 * share)}%`;
}

const DOUBTS = { small: 'small', blurred: 'blurred', dark: 'dark', turned: 'turned away', covered: 'partly covered' };

/** Why the network is unsure, in words: "small, blurred and dark"; empty where nothing is known. */
export function reasons({ doubts = [] }) {
  const words = doubts.map((doubt) => DOUBTS[doubt] ?? doubt);
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/**
 * The emotion of a face in words: one, or two when the network is unsure.
 * @param {Answer} face
 * @param {number} unsureBelow
 * @param {Record<string, string>} [letters] Of labels, where there is no room for words.
 * @returns {{sure: boolean, title: string, tags: string[], sentence: string}} `tags`: what stands beside the face in
 *     the picture, from the longest to the shortest.
 */
export function describe(face, unsureBelow, letters = {}) {
  const [first, second] = Object.entries(face.probabilities).sort(([, one], [, other]) => other - one);
  const letterOf = (label) => letters[label] ?? label;
  if (face.confidence >= unsureBelow || !second) {
    const label = face.predicted_emotion;
    const full = `${label} ${percent(face.confidence)}`;
    return { sure: true, title: label, tags: [full, label, letterOf(label)], sentence: full };
  }
  const two = `${first[0]} or ${second[0]}`;
  const title = `maybe ${two}`;
  const why = reasons(face);
  return {
    sure: false,
    title,
    tags: [`unsure: ${title}`, `${two}?`, `${letterOf(first[0])}?`],
    sentence: `unsure${why && ` (${why})`}, ${title}, ${percent(first[1])} and ${percent(second[1])}`,
  };
}

/** "1 face", "3 faces". */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * One sentence about a picture, for its list entry and for screen readers.
 * @param {object} result Of an engine.
 * @param {number} unsureBelow
 */
export function summary(result, unsureBelow) {
  if (result.status === 'error') return isUnreadable(result.error) ? 'cannot be read' : 'no answer';
  if (result.status === 'no_face' || result.note) return 'no face found';
  const faces = result.faces.map((face) => describe(face, unsureBelow).sentence);
  return faces.length === 1 ? faces[0] : `${counted(faces.length, 'face')}: ${faces.slice(0, 4).join('; ')}`;
}

/** What is kept with an answer about a picture in which no face was found. */
export const NO_FACE_HERE = 'No face was found here: this number means nothing';

const UNREADABLE = /^(Unreadable|Truncated|Empty)ImageError\b|cannot read it as a picture|the file is empty/;
const HEIC = /\.(heic|heif)$/i;

function isUnreadable(error) {
  return UNREADABLE.test(error);
}

/**
 * Why there is no answer for a picture, and what to do.
 * @param {string} error Of a result.
 * @param {string} name Of the file.
 * @returns {{title: string, advice: string, another: boolean}} `another`: whether only another file can help.
 */
export function failure(error, name) {
  const file = name.split('/').pop();
  const most = /^ImageTooLargeError: .*limit of ([\d,]+)/.exec(error)?.[1];
  if (most) {
    const megapixels = Number(most.replaceAll(',', '')) / 1e6;
    const advice = `Pictures of up to ${megapixels} megapixels can be analysed here. Save it smaller, or cut out a part.`;
    return { title: `${file} is too large.`, advice, another: true };
  }
  if (!isUnreadable(error)) return { title: `${file} could not be analysed.`, advice: sentence(plain(error)), another: false };
  if (HEIC.test(file)) {
    const advice =
      'iPhones save HEIC. Choose Settings › Camera › Formats › Most Compatible for new photos, or export this one as JPEG.';
    return { title: `${file} is a HEIC picture, which cannot be read here.`, advice, another: true };
  }
  const advice = 'It may be damaged or have the wrong extension. JPEG, PNG, WebP, GIF, BMP and TIFF work.';
  return { title: `${file} is not a picture we can read.`, advice, another: true };
}

/**
 * How often it is right, in one sentence; none where nothing was measured.
 * @param {number | undefined} share Of faces.
 * @param {{perceived: boolean, labels: string}} how Whether that is what people see in a face, or else whose labels.
 */
export function agreement(share, { perceived, benchmark }) {
  if (!share) return '';
  const whom = perceived
    ? 'with most of the ten people who were asked about each face of FER2013'
    : `with the labels of ${benchmark ? 'FER2013' : 'the faces that it was tested on'}`;
  return `It agrees ${whom} for about ${Math.round(100 * share)} of 100 faces.`;
}

/** An error without the name of its class. */
export function plain(error) {
  return String(error ?? 'no answer').replace(/^[A-Za-z]+(Error|Exception): /, '');
}

/** A message as a sentence. */
export function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? '' : '.'}`;
}
