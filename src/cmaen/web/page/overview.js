/** What many pictures show: a column for each emotion, which is also the button that shows these pictures alone. */
import { byId, element, tint } from './dom.js';
import { ORDERS } from './tally.js';
import { counted } from './words.js';

/** The key of all pictures. */
export const ALL = 'all';

export class Overview {
  #buttons = new Map();

  /**
   * @param {{colours: Record<string, string>, onFilter: (key: string) => void, onOrder: (order: string) => void,
   *          onStep: (step: number) => void}} options
   */
  constructor({ colours, onFilter, onOrder, onStep }) {
    this.colours = colours;
    this.onFilter = onFilter;
    for (const [order, name] of Object.entries(ORDERS)) {
      byId('order').append(element('option', { value: order }, name));
    }
    byId('order').addEventListener('change', ({ target }) => onOrder(target.value));
    byId('previous').addEventListener('click', () => onStep(-1));
    byId('next').addEventListener('click', () => onStep(1));
    document.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
      if (event.target.closest?.('input, select, textarea, video, dialog, [contenteditable]')) return;
      if (byId('walk').hidden) return;
      event.preventDefault();
      onStep(step);
    });
  }

  /**
   * Show the counts.
   * @param {ReturnType<typeof import('./tally.js').countGroups>} groups
   * @param {{count: number, filter: string}} state How many pictures there are, and which are shown.
   */
  show(groups, { count, filter }) {
    const all = { key: ALL, label: 'all pictures', emotion: null, faces: 0, pictures: count };
    const most = Math.max(1, ...groups.map(sizeOf));
    const shown = [all, ...groups];
    for (const [key, button] of this.#buttons) {
      if (shown.some((group) => group.key === key)) continue;
      button.root.remove();
      this.#buttons.delete(key);
    }
    let place = byId('groups').firstChild;
    for (const group of shown) {
      const button = this.#buttons.get(group.key) ?? this.#build(group);
      if (button.root === place) place = place.nextSibling;
      else byId('groups').insertBefore(button.root, place);
      button.number.textContent = String(sizeOf(group));
      button.bar.style.setProperty('--share', group.key === ALL ? 0 : sizeOf(group) / most);
      button.root.setAttribute('aria-pressed', String(group.key === filter));
      button.more.textContent = describeGroup(group);
    }
  }

  /** Where the picture that is looked at stands among those that are shown. */
  place(index, count) {
    byId('walk').hidden = count < 2 && index === 0;
    byId('place').textContent = `${index + 1} of ${count}`;
    byId('previous').disabled = index <= 0;
    byId('next').disabled = index >= count - 1;
  }

  #build({ key, label, emotion }) {
    const number = element('span', { class: 'number' });
    const bar = element('span', { class: 'column' }, element('span', { class: 'fill' }));
    const more = element('span', { class: 'unseen' });
    const classes = ['group', { [ALL]: 'every', unsure: 'unsure' }[key] ?? (emotion ? 'emotion' : 'rest')];
    const root = element(
      'button',
      { type: 'button', class: classes.join(' '), onclick: () => this.onFilter(key) },
      number,
      bar,
      ' ',
      element('span', { class: 'name' }, label),
      more,
    );
    if (emotion) tint(root, this.colours[emotion]);
    const button = { root, number, bar, more };
    this.#buttons.set(key, button);
    return button;
  }

  /** Forget all of it. */
  clear() {
    for (const { root } of this.#buttons.values()) root.remove();
    this.#buttons.clear();
    byId('order').value = 'added';
    byId('walk').hidden = true;
  }
}

/** What a column counts: faces, or pictures where there are none. */
function sizeOf({ faces, pictures }) {
  return faces || pictures;
}

/** What is heard after the number and the name of a column. */
function describeGroup({ faces, pictures }) {
  return faces ? `, ${faces === 1 ? 'a face' : 'faces'} in ${counted(pictures, 'picture')}` : '';
}
