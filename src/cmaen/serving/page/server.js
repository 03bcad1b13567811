/** The engine that asks the server: REST for pictures, a WebSocket for live frames. */
import { byId, forget, notice } from './dom.js';

const ROOT = new URL('../', import.meta.url);
const TRIES = 6;
const LONGEST_WAIT = 30;
const LIVE_SIDE = 640;
const IN_FLIGHT = 2;
const KEY = 'cmaen-key';

const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

/** @returns {{name: string, parallel: number, predict: Function, live: Function}} */
export function createEngine(config) {
  const key = new Key(config);
  return {
    name: 'server',
    parallel: 3,
    predict: (blob, options = {}) => predict(blob, options, config, key),
    live: (listeners) => new LiveSession(listeners, key),
  };
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
    if (again) sessionStorage.removeItem(KEY);
    if (!this.required && !again) return '';
    if (this.value) return this.value;
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  ask() {
    const dialog = byId('key-dialog');
    const field = byId('key');
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
async function reason(response) {
  const body = await response.json().catch(() => ({}));
  const detail = Array.isArray(body.detail) ? body.detail.map((part) => part.msg).join('; ') : body.detail;
  return detail || body.title || `the server answered ${response.status} ${response.statusText}`.trim();
}

async function predict(blob, { detect = true, explain = false, name = 'picture' }, config, key) {
  if (config.max_bytes && blob.size > config.max_bytes) {
    const [size, most] = [blob.size, config.max_bytes].map((bytes) => (bytes / 1e6).toFixed(1));
    throw new Error(`${size} MB is more than this server takes (${most} MB); save it smaller`);
  }
  const url = new URL(`v1/predict?detect=${detect}&explain=${explain}`, ROOT);
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
    if (![429, 503].includes(response.status) || attempt >= TRIES) throw new Error(await reason(response));
    const asked = Number(response.headers.get('Retry-After')) || attempt;
    await patience(Math.min(Math.max(asked, 0.2), LONGEST_WAIT), 'The server is busy');
  }
}

/** Wait, and say so. */
async function patience(seconds, what) {
  notice('patience', `${what}. Trying again in ${Math.ceil(seconds)} s; nothing is lost.`, 'busy');
  await sleep(seconds);
  forget('patience');
}

/** Frames to the server, answers back; at most two on their way, so that it never lags. */
class LiveSession {
  constructor({ onAnswer, onProblem }, key) {
    this.onAnswer = onAnswer;
    this.onProblem = onProblem;
    this.key = key;
    this.canvas = document.createElement('canvas');
    this.sizes = [];
    this.encoding = false;
    this.closed = false;
    this.socket = null;
    this.connect();
  }

  async connect() {
    const url = new URL('v1/live', ROOT);
    url.protocol = url.protocol.replace('http', 'ws');
    const secret = await this.key.get();
    if (this.closed) return;
    const socket = new WebSocket(url, secret ? ['cmaen', `bearer.${encodeURIComponent(secret)}`] : []);
    socket.addEventListener('message', (event) => this.answered(JSON.parse(event.data)));
    socket.addEventListener('open', () => forget('live'));
    socket.addEventListener('close', (event) => this.lost(event));
    this.sizes = [];
    this.socket = socket;
  }

  lost(event) {
    if (this.closed) return;
    if (event.code === 1008 || event.code === 1003) {
      this.onProblem(event.reason || 'the server refused the live view');
      return;
    }
    notice('live', 'The live view lost the server. Trying again …', 'busy');
    setTimeout(() => this.closed || this.connect(), 1500);
  }

  /** Whether another frame can be taken now. */
  get ready() {
    const [oldest] = this.sizes;
    if (oldest && performance.now() - oldest.sent > 2000) this.sizes.shift(); // it was dropped
    return this.socket?.readyState === WebSocket.OPEN && !this.encoding && this.sizes.length < IN_FLIGHT;
  }

  /** Send what a video shows now. */
  send(video, time) {
    const { videoWidth: width, videoHeight: height } = video;
    const scale = Math.min(1, LIVE_SIDE / Math.max(width, height));
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    this.canvas.getContext('2d').drawImage(video, 0, 0, this.canvas.width, this.canvas.height);
    this.encoding = true;
    const { socket } = this;
    const x = width / this.canvas.width;
    const y = height / this.canvas.height;
    this.canvas.toBlob(
      (blob) => {
        this.encoding = false;
        if (!blob || socket.readyState !== WebSocket.OPEN) return;
        this.sizes.push({ x, y, time, sent: performance.now() });
        socket.send(blob);
      },
      'image/jpeg',
      0.85,
    );
  }

  answered(answer) {
    const dropped = answer.dropped ?? 0; // in all, so far
    for (; this.dropped < dropped && this.sizes.length > 1; this.dropped += 1) this.sizes.shift();
    this.dropped = dropped;
    const { x, y, time } = this.sizes.shift() ?? { x: 1, y: 1, time: performance.now() / 1000 };
    for (const face of answer.faces ?? []) {
      const [left, top, width, height] = face.box;
      face.box = [left * x, top * y, width * x, height * y];
      face.landmarks = (face.landmarks ?? []).map(([px, py]) => [px * x, py * y]);
    }
    this.onAnswer({ ...answer, time });
  }

  /** Frames that the server left out so far. */
  dropped = 0;

  close() {
    this.closed = true;
    this.socket?.close();
    forget('live');
  }
}
