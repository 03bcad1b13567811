/** A video with the outlines of its faces over it: the camera's, and that of a film. */
import { element } from './dom.js';
import { drawFaces } from './draw.js';

const CANNOT = 'this browser cannot play the video; MP4 (H.264) and WebM work in most';
const NO_PICTURE =
  'the file has no pictures, or has them in a form that this browser cannot show; MP4 (H.264) and WebM work in most';

export class Screen {
  faces = [];

  /**
   * @param {HTMLElement} root
   * @param {{name: string, mirror?: boolean, look: object, onPoint: (key: string | null) => void,
   *          onChoose?: (key: string | null) => void}} how
   */
  constructor(root, { name, mirror = false, look, onPoint, onChoose }) {
    this.look = look;
    this.video = element('video', { class: 'picture', playsinline: true, 'aria-label': `Picture: ${name}` });
    this.video.muted = true;
    this.overlay = element('canvas', { class: 'overlay', 'aria-hidden': 'true' });
    this.frame = element('div', { class: 'frame' }, this.video, this.overlay);
    this.frame.addEventListener('pointermove', (event) => onPoint(this.#at(event)));
    this.frame.addEventListener('pointerleave', () => onPoint(null));
    if (onChoose) this.frame.addEventListener('click', (event) => onChoose(this.#at(event)));
    this.mirror = mirror;
    root.replaceChildren(this.frame);
  }

  set mirror(mirror) {
    this.mirrored = mirror;
    this.video.classList.toggle('mirror', mirror);
  }

  /** Show a source's first picture. */
  async open(begin) {
    const { video } = this;
    const loaded = new Promise((done, failed) => {
      const fail = () => failed(new Error(CANNOT));
      video.addEventListener('loadeddata', done, { once: true });
      video.addEventListener('error', fail, { once: true });
      video.addEventListener('ended', () => video.readyState < 2 && fail(), { once: true });
    });
    begin(video);
    await loaded;
    if (!video.videoWidth || !video.videoHeight) throw new Error(NO_PICTURE);
    this.fit();
  }

  /** Take the shape of what is shown now. */
  fit() {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth && videoHeight) this.frame.style.setProperty('--ratio', videoWidth / videoHeight);
  }

  /**
   * Outline faces.
   * @param {object[]} faces Their boxes in pixels of the video.
   * @param {(face: object) => boolean} chosen
   * @param {CanvasImageSource} [picture] What is shown below them instead of what the video shows now.
   */
  draw(faces, chosen, picture = null) {
    const { video, overlay } = this;
    this.faces = faces;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(overlay.clientWidth * ratio);
    const height = Math.round(overlay.clientHeight * ratio);
    if (overlay.width !== width || overlay.height !== height) Object.assign(overlay, { width, height });
    if (!width || !video.videoWidth) return;
    const scale = width / video.videoWidth;
    const context = overlay.getContext('2d');
    context.clearRect(0, 0, width, height);
    if (picture) context.drawImage(picture, 0, 0, width, height);
    const scaled = faces.map((face) => ({ ...face, box: face.box.map((value) => value * scale) }));
    const mirror = this.mirrored;
    drawFaces(context, scaled, { ...this.look, width, height, scale: ratio, mirror, chosen });
  }

  /** The key of the face at a place on the screen. */
  #at({ clientX, clientY }) {
    const { left, top, width } = this.overlay.getBoundingClientRect();
    const scale = this.video.videoWidth / width;
    const across = (clientX - left) * scale;
    const x = this.mirrored ? this.video.videoWidth - across : across;
    const y = (clientY - top) * scale;
    const hit = this.faces.find(
      ({ box }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3],
    );
    return hit ? String(hit.identity) : null;
  }

  /** What is to be drawn into a picture that is saved. */
  get still() {
    const { videoWidth: width, videoHeight: height } = this.video;
    return { picture: this.video, size: { width, height }, faces: this.faces, mirror: this.mirrored };
  }
}
