/** The engine that asks the server: REST for pictures, a WebSocket for the frames of a camera or a film. */
import { tenths } from './answers.js';
import { byId, forget, notice } from './dom.js';
import { sizeOf } from './frames.js';

const ROOT = new URL('../', import.meta.url);
const TRIES = 12;
const LONGEST_WAIT = 30;
const KEY = 'cmaen-key';
const HINT = 'Ask the person who runs this server. The key is kept until you close this tab.';

const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

/** @returns {{name: string, parallel: number, predict: Function, explain: Function, live: Function}} */
export function createEngine(config) {
  const key = new Key(config);
  const engine = {
    name: 'server',
    scheme: config.scheme,
    parallel: 3,
    predict: (blob, options = {}) => predict(blob, { ...options, scheme: engine.scheme }, config, key),
    explain: (blob, options = {}) => explain(blob, { ...options, scheme: engine.scheme }, config, key),
    live: (listeners) => new LiveSession(listeners, key, engine, config.live),
  };
  return engine;
}

/** The key that the server asks for: typed in once, kept in this tab. */
class Key {
  constructor(config) {
    this.required = config.key_required;
    this.asking = null;
  }

  get value() {
    return sessionStorage.getItem(KEY) ?? '';
  }

  /** The key, typed in now if need be; empty when there is none. */
  async get({ again = false } = {}) {
    if (!this.required && !again) return '';
    const refused = again && this.value !== '';
    if (again) sessionStorage.removeItem(KEY);
    if (this.value) return this.value;
    this.asking ??= this.ask(refused).finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  ask(refused) {
    const dialog = byId('key-dialog');
    const field = byId('key');
    const hint = byId('key-hint');
    hint.textContent = refused ? 'The server does not accept that key. Check it and try again.' : HINT;
    hint.classList.toggle('bad', refused);
    field.setAttribute('aria-invalid', String(refused));
    field.value = '';
    dialog.returnValue = '';
    dialog.showModal();
    return new Promise((done) => {
      const closed = () => {
        if (dialog.returnValue === 'ok' && field.value) sessionStorage.setItem(KEY, field.value);
        done(this.value);
      };
      dialog.addEventListener('close', closed, { once: true });
    });
  }
}

/** What a refusal says, in the words of the server where it has some. */
async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const detail = Array.isArray(body.detail) ? body.detail.map((part) => part.msg).join('; ') : body.detail;
  return detail || body.title || `the server answered ${response.status} ${response.statusText}`.trim();
}

async function predict(blob, { detect = true, explain = false, name = 'picture', scheme }, config, key) {
  if (config.max_bytes && blob.size > config.max_bytes) {
    const [size, most] = [blob.size, config.max_bytes].map((bytes) => (bytes / 1e6).toFixed(1));
    throw new Error(`${size} MB is more than this server takes (${most} MB); save it smaller`);
  }
  const url = new URL(`v1/predict?detect=${detect}&explain=${explain}&scheme=${scheme}`, ROOT);
  let rejected = false;
  for (let attempt = 1; ; attempt += 1) {
    const form = new FormData();
    form.append('images', blob, name);
    const secret = await key.get({ again: rejected });
    if ((config.key_required || rejected) && !secret) throw new Error('this server asks for a key');
    let response;
    try {
      const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
      response = await fetch(url, { method: 'POST', body: form, headers });
    } catch {
      if (attempt >= TRIES) throw new Error('the server cannot be reached; is it still running?');
      await patience(Math.min(attempt, 5), 'The server cannot be reached');
      continue;
    }
    if (response.ok) {
      forget('patience');
      return (await response.json())[0];
    }
    if (response.status === 401 || response.status === 403) {
      if (rejected && attempt >= TRIES) throw new Error('the server does not take this key');
      rejected = true;
      continue;
    }
    if (![429, 503].includes(response.status) || attempt >= TRIES) throw new Error(await refusal(response));
    const asked = Number(response.headers.get('Retry-After')) || attempt;
    await patience(Math.min(Math.max(asked, 0.2), LONGEST_WAIT), 'The server is busy');
  }
}

/** The faces of a picture cut out, and what their answers depend on as maps to be laid over them; data URIs. */
async function explain(blob, options, config, key) {
  const { error, faces } = await predict(blob, { ...options, explain: true }, config, key);
  if (error) throw new Error(error);
  return { faces: faces.map(({ crop, explanation }) => ({ crop, explanation })) };
}

/** Wait, and say so. */
async function patience(seconds, what) {
  notice('patience', `${what}. Trying again in ${Math.ceil(seconds)} s; nothing is lost.`, 'busy');
  await sleep(seconds);
  forget('patience');
}

/** A key as the name of a subprotocol: a browser cannot set a WebSocket's headers. */
function escaped(secret) {
  return encodeURIComponent(secret).replace(/[()]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
}

/** Frames to the server, answers back; of a camera at most two on their way, so that it never lags. */
class LiveSession {
  #socket = null;
  #leave = () => {};
  #scheme = null;
  #opening = false;
  #closed = false;
  #encoding = false;
  #again = 0;
  #retries = 0;
  #sent = 0;
  #answered = 0;
  #moments = new Map();
  #canvas = document.createElement('canvas');
  #known = 0; // the last identity of the sockets before this one, each of which counts from 1
  #highest = 0;
  failed = false;

  constructor({ onAnswer, onProblem, film = false }, key, engine, limits) {
    this.limits = limits;
    this.film = film;
    this.most = film ? 2 * limits.under_way : limits.under_way; // a film has no hurry, but a way to the server
    this.onAnswer = onAnswer;
    this.onProblem = onProblem;
    this.key = key;
    this.engine = engine;
  }

  async #connect({ again = false } = {}) {
    this.#opening = true;
    this.#scheme = this.engine.scheme;
    const url = new URL(`v1/live?scheme=${this.#scheme}${this.film ? '&film=true' : ''}`, ROOT);
    url.protocol = url.protocol.replace('http', 'ws');
    const secret = await this.key.get({ again });
    if (this.#closed) return;
    const socket = new WebSocket(url, secret ? ['cmaen', `bearer.${escaped(secret)}`] : []);
    socket.addEventListener('open', () => {
      forget('live');
      this.#retries = 0;
      [this.#sent, this.#answered, this.#socket, this.#opening] = [0, 0, socket, false];
      this.#moments.clear();
      this.#known = this.#highest;
    });
    socket.addEventListener('message', (event) => this.#take(JSON.parse(event.data)));
    let left = false;
    this.#leave = () => {
      left = true;
      this.#socket = null;
      socket.close();
    };
    socket.addEventListener('close', (event) => left || this.#lost(event));
  }

  /** What the server's closing means; the next frame opens another socket, after a rest. */
  #lost({ code, reason }) {
    this.#socket = null;
    this.#opening = false;
    if (this.#closed) return;
    if (code === 1008 && reason.includes('key')) {
      this.#connect({ again: true });
    } else if (code === 1008) {
      this.#again = 0; // nothing was sent for long, as when a video stands still
    } else if (code === 1003 || code === 1009) {
      this.#again = Infinity;
      this.failed = true;
      this.onProblem(reason || 'the server refused the frames');
    } else {
      this.#retries += 1;
      const seconds = Math.min(this.#retries, 5);
      this.#again = performance.now() + 1000 * seconds;
      notice('live', `${reason || 'The live view lost the server'}. Trying again in ${seconds} s.`, 'busy');
    }
  }

  /** Whether another frame can be taken now. */
  get ready() {
    if (this.#socket && this.#scheme !== this.engine.scheme) this.#leave(); // for a socket of the other scheme
    if (!this.#socket && !this.#opening && performance.now() >= this.#again) this.#connect();
    return this.#socket?.readyState === WebSocket.OPEN && !this.#encoding && this.#sent - this.#answered < this.most;
  }

  /** How many frames are on their way. */
  get pending() {
    return (this.#encoding ? 1 : 0) + (this.#socket ? this.#sent - this.#answered : 0);
  }

  /**
   * Send what a picture shows now.
   * @param {HTMLVideoElement | ImageBitmap} picture
   * @param {number} time In seconds.
   * @param {{width: number, height: number}} size In which pixels its faces are told.
   */
  send(picture, time, size = sizeOf(picture)) {
    const { width, height } = sizeOf(picture);
    const scale = Math.min(1, this.limits.side / Math.max(width, height));
    const canvas = this.#canvas;
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
    this.#encoding = true;
    const moment = { x: size.width / canvas.width, y: size.height / canvas.height, time };
    const socket = this.#socket;
    const sent = (blob) => {
      this.#encoding = false;
      if (!blob || socket !== this.#socket || socket.readyState !== WebSocket.OPEN) return;
      this.#moments.set(this.#sent, moment);
      this.#sent += 1;
      socket.send(this.film ? new Blob([seconds(time), blob]) : blob);
    };
    canvas.toBlob(sent, 'image/jpeg', 0.85);
  }

  /** An answer tells its frame by number; those before it are answered, or were left out. */
  #take(answer) {
    const { x, y, time } = this.#moments.get(answer.frame);
    this.#answered = answer.frame + 1;
    for (const number of this.#moments.keys()) if (number <= answer.frame) this.#moments.delete(number);
    for (const face of answer.faces) {
      const [left, top, width, height] = face.box;
      face.box = [left * x, top * y, width * x, height * y].map(tenths);
      face.landmarks = face.landmarks.map(([px, py]) => [px * x, py * y].map(tenths));
      face.identity += this.#known;
      this.#highest = Math.max(this.#highest, face.identity);
    }
    this.onAnswer({ ...answer, time });
  }

  close() {
    this.#closed = true;
    this.#socket?.close();
    forget('live');
  }
}

/** A time as the server reads it before a frame of a film: a little-endian double. */
function seconds(time) {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, time, true);
  return bytes;
}
