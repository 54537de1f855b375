// Dragging over bars narrows the page to all of them. Each bar is a link: the first one's address says where they begin, the last
// one's where they end, so that nothing here knows what the bars are about.

/** Bars that were not met yet take the pointer from now on. */
export function brushBars() {
  for (const bars of document.querySelectorAll('svg[data-brush]:not([data-live-brush])')) {
    if (!(bars instanceof SVGSVGElement)) continue;
    bars.setAttribute('data-live-brush', '');
    brush(bars);
  }
}

/** @param {SVGSVGElement} bars */
function brush(bars) {
  /** @type {number | null} where dragging began */
  let begin = null;
  let end = 0;
  const links = () => [...bars.querySelectorAll('a')];
  /** @param {PointerEvent} event */
  const place = (event) => {
    const box = bars.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * links().length);
    return Math.min(Math.max(at, 0), links().length - 1);
  };
  const mark = () => {
    const from = begin === null ? -1 : Math.min(begin, end);
    const to = begin === null ? -1 : Math.max(begin, end);
    links().forEach((link, at) => link.classList.toggle('chosen', from <= at && at <= to));
  };
  bars.addEventListener('dragstart', (event) => event.preventDefault());
  bars.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    begin = end = place(event);
  });
  bars.addEventListener('pointermove', (event) => {
    if (begin === null) return;
    end = place(event);
    // A click stays one: only what moves to another bar is taken from the link below.
    if (end !== begin) bars.setPointerCapture(event.pointerId);
    if (bars.hasPointerCapture(event.pointerId)) mark();
  });
  bars.addEventListener('pointerup', (event) => {
    if (begin !== null && bars.hasPointerCapture(event.pointerId)) go(bars, begin, end);
    begin = null;
  });
  bars.addEventListener('pointercancel', () => {
    begin = null;
    mark();
  });
}

/** @param {SVGSVGElement} bars @param {number} begin @param {number} end */
function go(bars, begin, end) {
  const hrefs = [...bars.querySelectorAll('a')].map((link) => link.getAttribute('href') ?? '');
  const [from, to] = (bars.dataset.brush ?? '').split(' ');
  const address = new URL(hrefs[Math.min(begin, end)] ?? '', location.href);
  const last = new URL(hrefs[Math.max(begin, end)] ?? '', location.href);
  if (from === undefined || to === undefined) return;
  address.searchParams.set(to, last.searchParams.get(to) ?? '');
  if (address.searchParams.get(from) !== null) location.assign(address);
}
