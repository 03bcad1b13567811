/** What is otherwise where a finger points: the camera comes first, and a button takes a photograph. */
import { byId, element } from './dom.js';

/**
 * Arrange the ways in for a phone or a tablet; nothing happens elsewhere.
 * @param {(files: File[]) => void} onPhotos
 */
export function arrangeForTouch(onPhotos) {
  if (!matchMedia('(pointer: coarse)').matches) return;
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
