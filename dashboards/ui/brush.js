// Chooses a range of time by dragging over a drawing of it: a chart, a timeline, a field of latencies. The range stands in the
// address then, so that the back button leads to where one was.
//
// A drawing that can be dragged over tells what time lies where: `data-from` and `data-to` (unix seconds) at `data-left` and
// `data-right` (units of its viewBox).

/** Pixels that a pointer must move to drag and not to click. */
const DRAG_MIN = 6;

/** Seconds that answers are cut by. */
const GRID = 10;

/** @type {WeakSet<Element>} */
const known = new WeakSet();

/** Makes every drawing of time that is not yet one that can be dragged over. */
export function brushes() {
  for (const part of document.querySelectorAll('svg[data-part="brush"]')) {
    if (!(part instanceof SVGSVGElement) || known.has(part)) continue;
    known.add(part);
    brush(part);
  }
}

/**
 * Seconds and units of a drawing of time at a place on the screen.
 * @param {SVGSVGElement} svg @param {MouseEvent} event
 */
export function timeAt(svg, event) {
  const { from, to, left, right } = svg.dataset;
  const [start, end, first, last] = [from, to, left, right].map(Number);
  const matrix = svg.getScreenCTM();
  const units = matrix ? new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()).x : 0;
  const x = Math.min(last, Math.max(first, units));
  return { x, share: (x - first) / (last - first), seconds: start + ((end - start) * (x - first)) / (last - first) };
}

/** @param {SVGSVGElement} svg */
function brush(svg) {
  /** @type {{ x: number, clientX: number, seconds: number } | null} */
  let start = null;
  /** @type {SVGRectElement | null} */
  let chosen = null;
  const end = () => {
    chosen?.remove();
    [start, chosen] = [null, null];
  };
  svg.addEventListener('dragstart', (event) => event.preventDefault());
  svg.addEventListener('pointerdown', (event) => {
    if (event.button === 0 && event.pointerType !== 'touch') start = { ...timeAt(svg, event), clientX: event.clientX };
  });
  svg.addEventListener('pointermove', (event) => {
    if (!start || (!chosen && Math.abs(event.clientX - start.clientX) < DRAG_MIN)) return;
    if (!chosen) {
      chosen = band(svg);
      svg.setPointerCapture(event.pointerId);
    }
    const { x } = timeAt(svg, event);
    chosen.setAttribute('x', String(Math.min(x, start.x)));
    chosen.setAttribute('width', String(Math.abs(x - start.x)));
  });
  svg.addEventListener('pointerup', (event) => {
    if (start && chosen) show(start.seconds, timeAt(svg, event).seconds);
    else end();
  });
  svg.addEventListener('pointercancel', end);
  addEventListener('keydown', (event) => { if (event.key === 'Escape') end(); });
  // What was dragged over is no click on what lies under the pointer.
  svg.addEventListener('click', (event) => {
    if (!chosen) return;
    event.preventDefault();
    end();
  }, { capture: true });
}

/** @param {SVGSVGElement} svg */
function band(svg) {
  const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  rect.setAttribute('data-live', '');
  rect.setAttribute('class', 'brushed');
  rect.setAttribute('y', '0');
  rect.setAttribute('height', String(svg.viewBox.baseVal.height));
  svg.append(rect);
  return rect;
}

/**
 * Goes to the same page over another range.
 * @param {number} one @param {number} other unix seconds
 */
function show(one, other) {
  const [from, to] = [Math.min(one, other), Math.max(one, other)];
  const start = Math.floor(from / GRID) * GRID;
  const address = new URL(location.href);
  address.searchParams.delete('range');
  address.searchParams.set('from', String(start));
  address.searchParams.set('to', String(Math.max(start + GRID, Math.ceil(to / GRID) * GRID)));
  location.assign(address);
}
