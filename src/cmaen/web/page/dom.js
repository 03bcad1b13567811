/**
 * An element, its attributes and what is in it; text stays text.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes "class", "on…" listeners, "hidden" and the like.
 * @param {(Node | string | null)[]} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The element of an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Give an element the colour of an emotion. */
export function tint(target, colour) {
  if (target.dataset.hue === colour) return;
  target.dataset.hue = colour;
  target.classList.add('hued');
  target.style.setProperty('--hue', colour);
}

let last = 0;
/** Say something to screen readers; `rest` milliseconds must have passed since the last time. */
export function announce(text, rest = 0) {
  const now = performance.now();
  if (rest && now - last < rest) return;
  last = now;
  byId('announce').textContent = text;
}

/** Show a message until it is dismissed, replaced by one of the same name, or taken back. */
export function notice(name, text, kind = 'info') {
  forget(name);
  const close = element(
    'button',
    { type: 'button', 'aria-label': `Dismiss: ${text}`, onclick: () => forget(name) },
    '×',
  );
  byId('notices').append(element('div', { class: `notice ${kind}`, 'data-name': name }, element('p', {}, text), close));
}

/** Take a message back. */
export function forget(name) {
  for (const shown of byId('notices').children) if (shown.dataset.name === name) shown.remove();
}
