// Loads the page again every so many seconds, as `refresh=` in the address says, and changes what is shown into the answer. Browsers
// without scripts do so by a `<meta>`, and lose scroll, focus and selection each time.
//
// A hidden page is not loaded, nor one in which something is being dragged or text is selected: it would slip away from under the
// hand. What cannot be loaded is said at the top, and tried again.

import { morph } from './morph.js';

/** Milliseconds after which an answer is no longer waited for; the server gives up sooner. */
const PATIENCE = 60_000;

/**
 * @param {() => void} enliven called whenever the page was changed
 */
export function keepFresh(enliven) {
  let isHeld = false;
  addEventListener('pointerdown', () => { isHeld = true; });
  for (const end of ['pointerup', 'pointercancel', 'blur']) addEventListener(end, () => { isHeld = false; });
  const seconds = () => Number(document.body.dataset.refresh ?? 0);
  const again = () => {
    if (seconds() > 0) setTimeout(turn, seconds() * 1_000);
  };
  const turn = async () => {
    if (!document.hidden && !isHeld && !isSelecting()) await load(enliven);
    again();
  };
  // Back from another tab: what is shown may be hours old.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && seconds() > 0) void load(enliven);
  });
  again();
}

/** Milliseconds between two looks at what is followed, after the answer to the first: as often as people read a number. */
const FOLLOWED = 1_000;

/** @type {WeakSet<Element>} */
const known = new WeakSet();

/**
 * Shows the buttons that have the page loaded every second while they are pressed, and makes them work.
 * @param {() => void} enliven called whenever the page was changed
 */
export function follow(enliven) {
  for (const button of document.querySelectorAll('button[data-part="follow"]')) {
    if (!(button instanceof HTMLButtonElement)) continue;
    // The server knows nothing of what is pressed, and its answers take that away.
    const isPressed = () => button.isConnected && button.dataset.livePressed === 'true';
    button.hidden = false;
    button.setAttribute('aria-pressed', String(isPressed()));
    if (known.has(button)) continue;
    known.add(button);
    const turn = async () => {
      if (!isPressed()) return;
      if (!document.hidden && !isSelecting()) await load(enliven);
      setTimeout(turn, FOLLOWED);
    };
    button.addEventListener('click', () => {
      button.dataset.livePressed = String(!isPressed());
      button.setAttribute('aria-pressed', String(isPressed()));
      void turn();
    });
  }
}

/** Text of the page is selected. */
function isSelecting() {
  return !(getSelection()?.isCollapsed ?? true);
}

let isLoading = false;

/** @param {() => void} enliven */
async function load(enliven) {
  if (isLoading) return;
  isLoading = true;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(PATIENCE) });
    show(await answer.text());
    delete document.body.dataset.liveStale;
    enliven();
  } catch {
    document.body.dataset.liveStale = 'true';
  }
  isLoading = false;
}

/**
 * Changes the page into another; an answer that is none, as of a proxy that finds nobody, throws. Scripts in it do not run: a
 * parsed document has none that could.
 * @param {string} html
 */
function show(html) {
  const wanted = new DOMParser().parseFromString(html, 'text/html');
  if (!wanted.querySelector('main')) throw new Error('the answer is no page');
  document.title = wanted.title;
  morph(document.body, wanted.body);
}
