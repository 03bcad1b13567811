/** Everything by which pictures come in: buttons, dropping, pasting. */
import { byId } from './dom.js';

const PICTURE = /\.(bmp|gif|jfif|jpe|jpe?g|png|ppm|pgm|tiff?|webp|avif|heic|heif)$/i;
const VIDEO = /\.(mp4|m4v|mov|webm|mkv|avi|ogv)$/i;

const isVideo = (file) => file.type.startsWith('video/') || VIDEO.test(file.name);
const isPicture = (file) => file.type.startsWith('image/') || PICTURE.test(file.name);

const byName = (one, other) => nameOf(one).localeCompare(nameOf(other), undefined, { numeric: true });
const nameOf = (file) => file.webkitRelativePath || file.name;

/** All files of what was dropped, folders opened. */
async function opened(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const part = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!part.length) return found;
    for (const child of part) found.push(...(await opened(child)));
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.());
  if (entries.length && entries.every(Boolean)) return (await Promise.all(entries.map(opened))).flat();
  return [...transfer.files];
}

/**
 * Connect the page's ways in.
 * @param {{onPhotos: (files: File[], how: {folder: boolean}) => void, onVideo: (file: File) => void,
 *          onCamera: () => void, onExample: (name: string) => void, onClear: () => void, onNothing: (text: string) => void}} listeners
 */
export function connectIntake(listeners) {
  const take = (files, { folder = false } = {}) => {
    const video = files.length === 1 && files.find(isVideo);
    if (video) {
      listeners.onVideo(video);
      return;
    }
    const several = folder || files.length > 1;
    const pictures = several ? files.filter(isPicture).sort(byName) : files; // a single one is always looked at
    if (pictures.length) listeners.onPhotos(pictures, { folder });
    else if (files.length) listeners.onNothing('None of these files is a picture. JPEG, PNG, WebP, GIF, BMP and TIFF work.');
  };
  const chooser = (button, input, how) => {
    byId(button).addEventListener('click', () => byId(input).click());
    byId(input).addEventListener('change', ({ target }) => {
      take([...target.files], how);
      target.value = '';
    });
  };
  chooser('choose-photos', 'photo-files');
  chooser('choose-folder', 'folder-files', { folder: true });
  chooser('choose-video', 'video-file');
  byId('use-camera').addEventListener('click', listeners.onCamera);
  for (const example of document.querySelectorAll('[data-example]')) {
    example.addEventListener('click', () => listeners.onExample(example.dataset.example));
  }
  byId('clear').addEventListener('click', listeners.onClear);

  const curtain = byId('dropping');
  let depth = 0;
  const cover = (change) => {
    depth = change === 0 ? 0 : Math.max(0, depth + change);
    curtain.classList.toggle('shown', depth > 0);
  };
  document.addEventListener('dragenter', () => cover(1));
  document.addEventListener('dragleave', () => cover(-1));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', async (event) => {
    event.preventDefault();
    cover(0);
    const files = await dropped(event.dataTransfer).catch(() => [...event.dataTransfer.files]);
    take(files);
  });
  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}
