// A trace's spans, of which only those in view are elements: ten thousand rows scroll as a hundred do. The server tells all rows in one
// answer (`/trace/ID/rows`); its own table stays where that cannot be had.
//
// A tree grid as of WAI-ARIA: one stop of the tab key, arrows move and open and close, Enter leads to the span. What is closed is
// kept in the address, as without scripts.

/** Height of a row in pixels, as in the style. */
const ROW = 26;

/** Rows that are drawn above and below what is in view, so that a quick hand finds them there. */
const AROUND = 8;

/** Closed spans that the address keeps. */
const CLOSED_MAX = 100;

const ERROR = 1;
const PROXY = 2;
const MATCH = 8;

/**
 * Id, name, service's place, depth, start, duration, self time, critical time, bits; times in nanoseconds.
 * @typedef {[string, string, number, number, number, number, number, number, number]} Row
 * @typedef {{ nanos: number, services: string[], rows: Row[] }} Told
 */

/** Draws a waterfall that is not drawn yet. */
export function drawWaterfall() {
  const place = document.querySelector('#waterfall[data-rows]:not([data-live-drawn])');
  if (!(place instanceof HTMLElement)) return;
  place.setAttribute('data-live-drawn', 'waiting');
  fetch(place.dataset.rows ?? '')
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(answer.statusText))))
    .then((told) => new Waterfall(place, told))
    .catch(() => place.setAttribute('data-live-drawn', 'failed'));
}

class Waterfall {
  /** @param {HTMLElement} place @param {Told} told */
  constructor(place, told) {
    this.told = told;
    /** Where what is below each row ends. */
    this.ends = ends(told.rows);
    this.closed = new Set((place.dataset.closed ?? '').split(',').filter(Boolean));
    /** Places of the rows that are not below a closed one. @type {number[]} */
    this.open = [];
    /** Elements by the place in `open` that they show. @type {Map<number, RowElement>} */
    this.drawn = new Map();
    /** @type {RowElement[]} */
    this.free = [];
    this.active = 0;
    this.isWaiting = false;
    this.grid = made('div', 'fall');
    this.body = made('div', 'fall-body');
    this.build(place);
    this.reopen();
  }

  /** @param {HTMLElement} place */
  build(place) {
    const heads = [...place.querySelectorAll('thead th')];
    const table = place.querySelector('.scroll');
    this.grid.setAttribute('role', 'treegrid');
    this.grid.setAttribute('aria-label', table?.getAttribute('aria-label') ?? '');
    this.grid.tabIndex = 0;
    this.body.setAttribute('role', 'rowgroup');
    const head = made('div', 'fall-row fall-head');
    head.setAttribute('role', 'row');
    for (const { textContent, classList } of heads) {
      const kind = classList.contains('text') ? '' : 'number';
      const cell = made('span', `fall-cell ${kind}`, textContent ?? '');
      cell.setAttribute('role', 'columnheader');
      head.append(cell);
    }
    const top = made('div', 'fall-top');
    top.setAttribute('role', 'rowgroup');
    top.append(head);
    this.grid.append(top, this.body);
    const live = made('div', 'scroll');
    live.setAttribute('data-live', '');
    live.append(this.grid);
    place.prepend(live);
    place.setAttribute('data-live-drawn', 'true');
    this.grid.addEventListener('scroll', () => this.later(), { passive: true });
    this.grid.addEventListener('keydown', (event) => this.press(event));
    this.grid.addEventListener('click', (event) => this.click(event));
    new ResizeObserver(() => this.later()).observe(this.grid);
  }

  /** What is open has changed. */
  reopen() {
    const { rows } = this.told;
    this.open = [];
    for (let at = 0; at < rows.length; at += 1) {
      this.open.push(at);
      if (this.closed.has(idOf(rows[at]))) at = (this.ends[at] ?? at + 1) - 1;
    }
    this.active = Math.min(this.active, this.open.length - 1);
    const height = this.open.length * ROW;
    this.body.style.height = `${height}px`;
    // The head, and a bar that scrolls sideways.
    this.grid.style.height = `min(72vh, ${height + ROW + 20}px)`;
    this.grid.setAttribute('aria-rowcount', String(this.open.length + 1));
    for (const row of this.drawn.values()) this.release(row);
    this.drawn.clear();
    this.draw();
  }

  /** Draws before the next frame. */
  later() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
    });
  }

  draw() {
    const first = Math.max(0, Math.floor(this.grid.scrollTop / ROW) - AROUND);
    const count = Math.ceil(this.grid.clientHeight / ROW) + 2 * AROUND;
    const last = Math.min(this.open.length, first + count);
    for (const [at, row] of this.drawn) {
      if (at < first || at >= last) {
        this.drawn.delete(at);
        this.release(row);
      }
    }
    for (let at = first; at < last; at += 1) {
      if (!this.drawn.has(at)) this.drawn.set(at, this.fill(this.free.pop() ?? this.make(), at));
    }
    this.mark();
  }

  /** @param {RowElement} row */
  release(row) {
    row.element.hidden = true;
    row.element.classList.remove('active');
    // Another element may show that row from now on.
    row.element.removeAttribute('id');
    this.free.push(row);
  }

  make() {
    const row = new RowElement();
    this.body.append(row.element);
    return row;
  }

  /** @param {RowElement} row @param {number} at */
  fill(row, at) {
    const place = this.open[at] ?? 0;
    const told = this.told.rows[place];
    if (told) {
      const hasBelow = (this.ends[place] ?? place + 1) > place + 1;
      const isOpen = hasBelow ? !this.closed.has(told[0]) : null;
      row.show(told, this.told, at, isOpen);
    }
    return row;
  }

  /** Shows which row is the active one. */
  mark() {
    for (const [at, row] of this.drawn) row.element.classList.toggle('active', at === this.active);
    const active = this.drawn.get(this.active);
    if (active) this.grid.setAttribute('aria-activedescendant', active.element.id);
    else this.grid.removeAttribute('aria-activedescendant');
  }

  /** @param {number} at */
  move(at) {
    this.active = Math.min(Math.max(at, 0), this.open.length - 1);
    const top = this.active * ROW;
    const room = this.grid.clientHeight - 2 * ROW;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top > this.grid.scrollTop + room) this.grid.scrollTop = top - room;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / ROW) - 2);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => this.move(this.active + 1),
      ArrowUp: () => this.move(this.active - 1),
      PageDown: () => this.move(this.active + page),
      PageUp: () => this.move(this.active - page),
      Home: () => this.move(0),
      End: () => this.move(this.open.length - 1),
      ArrowRight: () => (this.isOpen(this.active) === false ? this.toggle(this.active) : this.move(this.active + 1)),
      ArrowLeft: () => (this.isOpen(this.active) ? this.toggle(this.active) : this.move(this.above(this.active))),
      Enter: () => location.assign(addressOf(idOf(this.told.rows[this.open[this.active] ?? 0]))),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const row = event.target instanceof Element ? event.target.closest('[data-at]') : null;
    if (!(row instanceof HTMLElement)) return;
    this.active = Number(row.dataset.at);
    if (event.target instanceof Element && event.target.closest('.toggle')) this.toggle(this.active);
    else this.mark();
  }

  /** None for a row with nothing below. @param {number} at */
  isOpen(at) {
    const place = this.open[at] ?? 0;
    if ((this.ends[place] ?? 0) <= place + 1) return null;
    return !this.closed.has(idOf(this.told.rows[place]));
  }

  /** @param {number} at */
  above(at) {
    const depth = this.depth(at);
    for (let above = at - 1; above >= 0; above -= 1) if (this.depth(above) < depth) return above;
    return at;
  }

  /** @param {number} at */
  depth(at) {
    return this.told.rows[this.open[at] ?? 0]?.[3] ?? 0;
  }

  /** @param {number} at */
  toggle(at) {
    if (this.isOpen(at) === null) return;
    const id = idOf(this.told.rows[this.open[at] ?? 0]);
    if (!this.closed.delete(id)) this.closed.add(id);
    const address = new URL(location.href);
    if (this.closed.size > 0 && this.closed.size <= CLOSED_MAX) address.searchParams.set('closed', [...this.closed].join(','));
    else address.searchParams.delete('closed');
    history.replaceState(history.state, '', address);
    this.reopen();
  }
}

class RowElement {
  constructor() {
    this.element = made('div', 'fall-row');
    this.element.setAttribute('role', 'row');
    this.name = this.cell('fall-name');
    this.toggle = made('span', 'toggle');
    this.toggle.setAttribute('aria-hidden', 'true');
    this.link = document.createElement('a');
    this.link.tabIndex = -1;
    this.name.append(this.toggle, this.link);
    this.service = this.cell('');
    this.numbers = [this.cell('number'), this.cell('number'), this.cell('number')];
    this.whole = made('span', 'fall-whole');
    this.critical = made('span', 'fall-critical');
    this.cell('fall-bar').append(this.whole, this.critical);
  }

  /** @param {string} kind */
  cell(kind) {
    const cell = made('span', `fall-cell ${kind}`);
    cell.setAttribute('role', 'gridcell');
    this.element.append(cell);
    return cell;
  }

  /** @param {Row} row @param {Told} told @param {number} at @param {boolean | null} isOpen */
  show([id, name, service, depth, start, duration, own, critical, bits], told, at, isOpen) {
    const { element } = this;
    element.hidden = false;
    element.id = `fall-${at}`;
    element.dataset.at = String(at);
    element.style.transform = `translateY(${at * ROW}px)`;
    element.setAttribute('aria-rowindex', String(at + 2));
    element.setAttribute('aria-level', String(depth + 1));
    if (isOpen === null) element.removeAttribute('aria-expanded');
    else element.setAttribute('aria-expanded', String(isOpen));
    element.classList.toggle('bad', (bits & ERROR) !== 0);
    element.classList.toggle('match', (bits & MATCH) !== 0);
    this.toggle.textContent = isOpen === null ? '' : isOpen ? '▾' : '▸';
    this.link.textContent = (bits & PROXY) !== 0 ? `${name} · proxy` : name;
    this.link.href = addressOf(id);
    this.name.style.paddingLeft = `${Math.min(depth, 24) * 14 + 6}px`;
    this.service.textContent = told.services[service] ?? '';
    [duration, own, critical].forEach((nanos, place) => {
      const cell = this.numbers[place];
      if (cell) cell.textContent = durationOf(nanos);
    });
    const share = (/** @type {number} */ nanos) => (100 * nanos) / told.nanos;
    this.whole.style.left = this.critical.style.left = `${Math.min(share(start), 99.7)}%`;
    this.whole.style.width = `${Math.max(share(duration), 0.3)}%`;
    this.critical.style.width = `${share(critical)}%`;
  }
}

/** Where what is below each row ends: the next one that is not deeper. @param {Row[]} rows */
function ends(rows) {
  /** @type {number[]} */
  const found = new Array(rows.length).fill(rows.length);
  /** @type {number[]} */
  const above = [];
  rows.forEach((row, at) => {
    while (above.length > 0 && (rows[above[above.length - 1] ?? 0]?.[3] ?? 0) >= row[3]) {
      found[above.pop() ?? 0] = at;
    }
    above.push(at);
  });
  return found;
}

/** @param {Row | undefined} row */
function idOf(row) {
  return row?.[0] ?? '';
}

/** The page with that span's details. @param {string} id */
function addressOf(id) {
  const address = new URL(location.href);
  address.searchParams.set('span', id);
  address.hash = 'details';
  return address.href;
}

/** As the server tells durations (`format.rs`). @param {number} nanos */
function durationOf(nanos) {
  const millis = nanos / 1e6;
  if (millis >= 60_000) return `${digits(millis / 60_000)} min`;
  if (millis >= 1_000) return `${digits(millis / 1_000)} s`;
  if (millis >= 1 || millis === 0) return `${digits(millis)} ms`;
  return `${digits(millis * 1_000)} µs`;
}

/** @param {number} value */
function digits(value) {
  const decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return String(Number(value.toFixed(decimals)));
}

/** @param {string} name @param {string} className @param {string} [text] */
function made(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
