/**
 * A ZIP file that only stores: pictures are compressed already. Files are added one after the other, and what is written
 * stays with the browser, which may move it to the disk.
 */

const MOST_BYTES = 0xffffffff; // a larger archive would need ZIP64
const MOST_FILES = 0xffff;
const VERSION = 20;
const UTF_8 = 0x0800;

const CRC = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of bytes, as ZIP has it. */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (let index = 0; index < bytes.length; index += 1) value = CRC[(value ^ bytes[index]) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i; // names of Windows' devices
const LONGEST = 100;

/**
 * A file name that every system can write, in no folder.
 * @param {string} name
 */
export function safeName(name) {
  const last = String(name).split(/[/\\]/).pop().normalize('NFC').replace(/\p{Surrogate}/gu, '_');
  const clean = last.replace(/[\u0000-\u001f\u007f-\u009f<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '_');
  const { stem, suffix } = split(clean.replace(/^[. ]+|[. ]+$/g, ''));
  const short = [...stem].slice(0, LONGEST).join('').trimEnd() || 'picture';
  return `${RESERVED.test(short.split('.')[0]) ? '_' : ''}${short}${suffix}`;
}

function split(name) {
  const [suffix] = /\.[A-Za-z0-9]{1,8}$/.exec(name) ?? [''];
  return { stem: name.slice(0, name.length - suffix.length), suffix };
}

/** Names of which no two are the same, in upper or lower case: "a.png", "a-2.png". */
export class UniqueNames {
  #taken = new Set();

  /** A safe name, which is given out once. */
  take(name) {
    const { stem, suffix } = split(safeName(name));
    for (let count = 1; ; count += 1) {
      const tried = `${stem}${count === 1 ? '' : `-${count}`}${suffix}`;
      const key = tried.toLowerCase();
      if (this.#taken.has(key)) continue;
      this.#taken.add(key);
      return tried;
    }
  }
}

/** Little-endian fields, each of so many bytes: [[2, 20], [4, 1234]]. */
function fields(...pairs) {
  const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** Date and time as MS-DOS counted them, in steps of two seconds from 1980. */
function dosTime(date) {
  const year = Math.min(Math.max(date.getFullYear(), 1980), 2107) - 1980;
  const day = (year << 9) | ((date.getMonth() + 1) << 5) | date.getDate();
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  return { day, time };
}

export class ZipWriter {
  #parts = [];
  #entries = [];
  #names = new UniqueNames();
  #ended = false;

  /** Bytes so far. */
  size = 0;

  /** @param {{date?: Date}} options Of all files. */
  constructor({ date = new Date() } = {}) {
    this.#moment = dosTime(date);
  }

  #moment;

  get count() {
    return this.#entries.length;
  }

  /** Whether there is room for a file of so many bytes. */
  fits(bytes) {
    return this.size + bytes + this.#entries.length * 400 + 1000 < MOST_BYTES && this.#entries.length < MOST_FILES - 1;
  }

  /**
   * Add a file.
   * @param {string} name It is made safe, and unlike the others.
   * @param {Blob} blob
   * @returns {Promise<string>} The name that it has.
   */
  async add(name, blob) {
    if (this.#ended) throw new Error('the archive is finished');
    if (!this.fits(blob.size)) throw new Error('an archive holds at most 4 GB');
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    const own = this.#names.take(name);
    const letters = new TextEncoder().encode(own);
    const { day, time } = this.#moment;
    const common = [
      ...[[2, VERSION], [2, UTF_8], [2, 0], [2, time], [2, day]],
      ...[[4, crc], [4, blob.size], [4, blob.size], [2, letters.length], [2, 0]],
    ];
    const head = fields([4, 0x04034b50], ...common);
    this.#entries.push({ common, letters, offset: this.size });
    this.#parts.push(head, letters, blob);
    this.size += head.length + letters.length + blob.size;
    return own;
  }

  /** The archive; nothing can be added any more. */
  finish() {
    this.#ended = true;
    const start = this.size;
    const parts = [...this.#parts];
    let length = 0;
    for (const { common, letters, offset } of this.#entries) {
      const entry = fields([4, 0x02014b50], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]);
      parts.push(entry, letters);
      length += entry.length + letters.length;
    }
    const count = this.#entries.length;
    parts.push(fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, length], [4, start], [2, 0]));
    return new Blob(parts, { type: 'application/zip' });
  }
}
