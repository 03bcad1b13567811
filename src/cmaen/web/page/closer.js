/** A picture enlarged, in which faces are found that are too small in the picture itself. */
import { tenths } from './answers.js';

const FACTOR = 2;
const MOST_PIXELS = 40e6; // of the enlarged picture; many browsers draw no larger ones

/**
 * Enlarge a picture.
 * @param {Blob} blob
 * @returns {Promise<{blob: Blob, shrink: (face: object) => object}>} The enlarged picture, and what brings a face found in
 *     it back to the picture itself.
 */
export async function enlarge(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' }).catch(() => {
    throw new Error('this browser cannot enlarge the picture');
  });
  const [width, height] = [bitmap.width * FACTOR, bitmap.height * FACTOR];
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new Error('the picture is too large to be enlarged; cut out the part with the faces');
  }
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.fillStyle = 'white'; // beneath what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const made = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.95));
  if (!made) throw new Error('the picture is too large to be enlarged');
  return { blob: made, shrink: shrinkFace };
}

function shrinkFace(face) {
  const shrink = (value) => tenths(value / FACTOR);
  return { ...face, box: face.box.map(shrink), landmarks: face.landmarks.map((point) => point.map(shrink)) };
}
