/** What differs on a phone: the network is the small one, the camera comes first, and a button takes a photograph. */
import { byId, element } from './dom.js';

const isTouched = () => matchMedia('(pointer: coarse)').matches;

/** The configuration for this device: of a phone or a tablet, with the small network where there is one. */
export function configureFor({ small, ...config }) {
  return small && isTouched() ? { ...config, ...small } : config;
}

/**
 * Arrange the ways in for a phone or a tablet; nothing happens elsewhere.
 * @param {(files: File[]) => void} onPhotos
 */
export function arrangeForTouch(onPhotos) {
  if (!isTouched()) return;
  const attributes = { type: 'file', accept: 'image/*', capture: 'environment', hidden: true, 'aria-label': 'A new photo' };
  const input = element('input', { id: 'new-photo', ...attributes });
  input.addEventListener('change', () => {
    if (input.files.length) onPhotos([...input.files]);
    input.value = '';
  });
  const take = element('button', { type: 'button', id: 'take-photo', onclick: () => input.click() }, 'Take a photo');
  const camera = byId('use-camera');
  camera.classList.add('main');
  byId('choose-photos').classList.remove('main');
  camera.parentNode.prepend(camera, take);
  camera.parentNode.after(input);
  document.body.dataset.touch = 'true';
  document.querySelector('.invite strong').textContent = 'Photo, video or camera';
}
