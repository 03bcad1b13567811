/**
 * What is said of a face, in one place.
 *
 * @typedef {{box: number[], landmarks: number[][], predicted_emotion: string, confidence: number,
 *            probabilities: Record<string, number>, identity?: number, explanation?: string}} Answer
 */

/** 0.983 -> "98 %". */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/**
 * The emotion of a face in words: one, or two when the network is unsure.
 * @param {Answer} face
 * @param {number} unsureBelow
 * @returns {{sure: boolean, title: string, tag: string, sentence: string}}
 */
export function describe(face, unsureBelow) {
  const [first, second] = Object.entries(face.probabilities).sort(([, one], [, other]) => other - one);
  if (face.confidence >= unsureBelow) {
    const tag = `${face.predicted_emotion} ${percent(face.confidence)}`;
    return { sure: true, title: face.predicted_emotion, tag, sentence: tag };
  }
  const title = `maybe ${first[0]} or ${second[0]}`;
  return {
    sure: false,
    title,
    tag: `unsure: ${title}`,
    sentence: `unsure, ${title}, ${percent(first[1])} and ${percent(second[1])}`,
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
  if (result.status === 'error') return plain(result.error);
  if (result.status === 'no_face') return 'no face found';
  const faces = result.faces.map((face) => describe(face, unsureBelow).sentence);
  return faces.length === 1 ? faces[0] : `${counted(faces.length, 'face')}: ${faces.slice(0, 4).join('; ')}`;
}

/**
 * How often it is right, in one sentence; none where nothing was measured.
 * @param {number | undefined} share Of faces.
 * @param {{perceived: boolean}} how Whether that is what people see in a face.
 */
export function agreement(share, { perceived }) {
  if (!share) return '';
  const whom = perceived
    ? 'with most of the ten people who were asked about each photograph of FER2013'
    : 'with the labels of the photographs of its data set';
  return `It agrees ${whom} for ${Math.round(100 * share)} of 100.`;
}

/** An error without the name of its class. */
export function plain(error) {
  return String(error ?? 'no answer').replace(/^[A-Za-z]+(Error|Exception): /, '');
}
