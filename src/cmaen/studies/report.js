'use strict';
// Zooms all timelines of a recording together: by buttons, keys, dragging, a double click, or a moment of a table.
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const MOST_TICKS = 12;

function tell(seconds, step) {
  const exact = step < 1;
  const whole = exact ? Math.floor(seconds + 1e-6) : Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, '0');
  const told = hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  return exact ? `${told}.${Math.floor((seconds - whole) * 10 + 1e-6)}` : told;
}

for (const section of document.querySelectorAll('.recording')) {
  const [begin, end, least] = ['begin', 'end', 'least'].map((name) => Number(section.dataset[name]));
  const tools = section.querySelector('.tools');
  if (!tools) continue;
  const said = tools.querySelector('output');
  const views = [...section.querySelectorAll('.view')];
  let [from, to] = [begin, end];

  function place(element, start, stop) {
    const width = to - from;
    element.style.left = `${(100 * (start - from)) / width}%`;
    if (stop !== undefined) element.style.width = `${(100 * (stop - start)) / width}%`;
  }

  function show() {
    const whole = end - begin;
    const step = STEPS.find((each) => (to - from) / each <= MOST_TICKS) ?? 86400;
    section.classList.toggle('zoomed', to - from < whole * 0.999);
    for (const svg of section.querySelectorAll('.lanes')) {
      const points = Number(svg.dataset.points);
      const box = svg.viewBox.baseVal;
      box.x = ((from - begin) / whole) * points;
      box.width = ((to - from) / whole) * points;
    }
    for (const axis of section.querySelectorAll('.axis')) {
      axis.replaceChildren();
      for (let n = Math.ceil(from / step - 1e-9); n * step < to; n += 1) {
        const tick = document.createElement('span');
        tick.textContent = tell(n * step, step);
        place(tick, n * step);
        axis.append(tick);
      }
    }
    for (const event of section.querySelectorAll('.events span')) {
      const [first, last] = [Math.max(Number(event.dataset.start), from), Math.min(Number(event.dataset.end), to)];
      event.hidden = last <= first;
      place(event, first, Math.max(first, last));
    }
    said.textContent = `${tell(from, step)} to ${tell(to, step)}`;
    const [back, closer, wider, on, all] = tools.querySelectorAll('button');
    const zoomed = section.classList.contains('zoomed');
    back.disabled = from <= begin;
    on.disabled = to >= end;
    closer.disabled = to - from <= least;
    wider.disabled = all.disabled = !zoomed;
  }

  function look(start, width) {
    const shown = Math.min(Math.max(width, least), end - begin);
    from = Math.min(Math.max(start, begin), end - shown);
    to = from + shown;
    show();
  }
  const zoom = (factor, around = (from + to) / 2) => look(around - (around - from) * factor, (to - from) * factor);
  const shift = (part) => look(from + part * (to - from), to - from);
  const acts = {
    back: () => shift(-0.5), closer: () => zoom(0.5), wider: () => zoom(2), on: () => shift(0.5), all: () => look(begin, end - begin),
  };
  const keys = { ArrowLeft: 'back', ArrowRight: 'on', '+': 'closer', '=': 'closer', '-': 'wider', 0: 'all', Home: 'all', Escape: 'all' };

  tools.addEventListener('click', (event) => acts[event.target.dataset?.act]?.());
  section.addEventListener('click', (event) => {
    const { start, end: stop } = event.target.dataset ?? {};
    if (event.target.tagName !== 'BUTTON' || start === undefined) return;
    const length = Number(stop) - Number(start);
    look(Number(start) - Math.max(length, 2), length + 2 * Math.max(length, 2));
    event.target.closest('.person')?.querySelector('.view')?.focus();
  });
  for (const view of views) {
    const at = (event) => {
      const box = view.getBoundingClientRect();
      return from + ((event.clientX - box.left) / box.width) * (to - from);
    };
    view.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      acts[keys[event.key]]();
    });
    view.addEventListener('dblclick', (event) => zoom(0.4, at(event)));
    let held;
    view.addEventListener('pointerdown', (event) => {
      if (to - from >= end - begin) return;
      held = at(event);
      view.setPointerCapture(event.pointerId);
    });
    view.addEventListener('pointermove', (event) => {
      if (held !== undefined) look(from + held - at(event), to - from);
    });
    for (const name of ['pointerup', 'pointercancel']) view.addEventListener(name, () => (held = undefined));
  }
  tools.hidden = false;
  for (const view of views) view.tabIndex = 0;
  show();
}

// A table that is wider than its place is scrolled by keys as well, and only then does Tab stop at it.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute('tabindex');
  }
});
for (const each of document.querySelectorAll('.scroll')) widths.observe(each);

addEventListener('beforeprint', () => {
  for (const each of document.querySelectorAll('details')) each.open = true;
});
document.body.dataset.ready = '';
