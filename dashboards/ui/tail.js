// Lines of logs as they become durable, above those that the server sent. The server's own tail is asked (`/api/v1/tail`), and what it
// tells is only ever text. The list is bounded: who watches for hours sees the newest.

/** Lines that are kept of what came. */
const LINES_MAX = 500;

/** Levels, and the classes of their lines. @type {Record<string, string>} */
const CLASSES = { fatal: 'bad', error: 'bad', warn: 'warn' };

/** Shows the button, which is of no use without scripts, and makes it work. */
export function tailLogs() {
  for (const button of document.querySelectorAll('button[data-tail]')) {
    if (!(button instanceof HTMLButtonElement)) continue;
    button.hidden = false;
    // The server knows nothing of what is pressed, and its answers take that away.
    button.setAttribute('aria-pressed', button.getAttribute('data-live-tail') || 'false');
    if (button.hasAttribute('data-live-tail')) continue;
    button.setAttribute('data-live-tail', 'false');
    tail(button);
  }
}

/** @param {HTMLButtonElement} button */
function tail(button) {
  /** @type {EventSource | null} */
  let source = null;
  /** @type {{ time: string, line: string, labels: Record<string, string> }[]} */
  let waiting = [];
  const show = () => {
    const list = listOf(button);
    list.prepend(...waiting.reverse().map(lineOf));
    waiting = [];
    const live = list.querySelectorAll(':scope > [data-live]');
    [...live].slice(LINES_MAX).forEach((line) => line.remove());
  };
  const stop = () => {
    source?.close();
    source = null;
    press(button, false);
  };
  const start = () => {
    source = new EventSource(button.dataset.tail ?? '');
    source.addEventListener('line', (event) => {
      if (waiting.length === 0) requestAnimationFrame(show);
      waiting.push(JSON.parse(event.data));
      // More than can be shown came before the next frame.
      if (waiting.length > LINES_MAX) waiting.shift();
    });
    source.addEventListener('missed', () => {
      const note = document.getElementById('tail-missed');
      if (note) note.hidden = false;
    });
    source.addEventListener('error', () => {
      if (source?.readyState === EventSource.CLOSED) stop();
    });
    press(button, true);
  };
  button.addEventListener('click', () => (source ? stop() : start()));
}

/** @param {HTMLButtonElement} button @param {boolean} isPressed */
function press(button, isPressed) {
  button.setAttribute('aria-pressed', String(isPressed));
  button.setAttribute('data-live-tail', String(isPressed));
}

/**
 * The list of lines; one of our own where the server had none to show.
 * @param {HTMLButtonElement} button
 */
function listOf(button) {
  const known = document.querySelector('ol.lines');
  if (known) return known;
  const list = document.createElement('ol');
  list.className = 'lines';
  list.setAttribute('data-live', '');
  button.closest('section')?.append(list);
  return list;
}

/** @param {{ time: string, line: string, labels: Record<string, string> }} told */
function lineOf({ time, line, labels }) {
  const level = labels.level ?? 'unknown';
  const row = element('li', `line ${CLASSES[level] ?? ''}`);
  row.setAttribute('data-live', '');
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const when = element('time', '', time.slice(5, 23).replace('T', ' '));
  when.setAttribute('datetime', time);
  const parts = [when, element('span', 'level', level), element('span', 'service', labels.service_name ?? '')];
  for (const part of [...parts, element('code', '', line)]) summary.append(part, ' ');
  const fields = element('dl', 'fields');
  for (const [name, value] of Object.entries(labels)) {
    const pair = document.createElement('div');
    pair.append(element('dt', '', name), element('dd', '', value));
    fields.append(pair);
  }
  details.append(summary, fields);
  row.append(details);
  return row;
}

/** @param {string} name @param {string} className @param {string} [text] */
function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  // Control characters and those that reorder text look like something else, as on the server (`text.rs`).
  if (text !== undefined) made.textContent = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
  return made;
}
