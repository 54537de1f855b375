// Tells what stands at a time: a line through all charts of a group where the pointer is, and its numbers beside the title of each.
//
// Numbers are read from the table behind the charts, as the server wrote them: what is told here can be read there. `data-columns`
// of a chart are its columns.

import { timeAt } from './brush.js';

const SVG = 'http://www.w3.org/2000/svg';

/** @type {WeakSet<Element>} */
const known = new WeakSet();

/** Makes every group of charts live that is not. */
export function charts() {
  for (const group of document.querySelectorAll('[data-part="charts"]')) {
    if (known.has(group)) continue;
    known.add(group);
    for (const svg of group.querySelectorAll('svg[data-columns]')) {
      if (!(svg instanceof SVGSVGElement)) continue;
      svg.addEventListener('pointermove', (event) => tell(group, timeAt(svg, event).share));
      svg.addEventListener('pointerleave', () => clear(group));
    }
  }
}

/** @param {Element} group */
function clear(group) {
  group.querySelectorAll('.crosshair[data-live], .tip[data-live]').forEach((element) => element.remove());
}

/**
 * @param {Element} group @param {number} share of the time that the charts are of, 0 to 1
 */
function tell(group, share) {
  const rows = group.querySelectorAll('.numbers tbody tr');
  const at = Math.round(share * (rows.length - 1));
  const cells = rows[at]?.children;
  if (!cells) return;
  const heads = group.querySelectorAll('.numbers thead th');
  for (const svg of group.querySelectorAll('svg[data-columns]')) {
    if (!(svg instanceof SVGSVGElement)) continue;
    const columns = (svg.dataset.columns ?? '').split(' ').map(Number);
    const values = columns.map((column) => `${heads[column]?.textContent} ${cells[column]?.textContent}`);
    const time = (cells[0]?.textContent ?? '').slice(11, 19);
    tip(svg).textContent = `${time} · ${values.join(' · ')}`;
    cross(svg, rows.length > 1 ? at / (rows.length - 1) : 0);
  }
}

/** @param {SVGSVGElement} svg */
function tip(svg) {
  const caption = svg.closest('figure')?.querySelector('figcaption');
  const known = caption?.querySelector('.tip[data-live]');
  if (known) return known;
  const made = document.createElement('span');
  made.className = 'tip';
  made.setAttribute('data-live', '');
  // It repeats the table, and would be read at every movement.
  made.setAttribute('aria-hidden', 'true');
  caption?.append(made);
  return made;
}

/** @param {SVGSVGElement} svg @param {number} share */
function cross(svg, share) {
  let line = svg.querySelector('.crosshair[data-live]');
  if (!line) {
    line = document.createElementNS(SVG, 'line');
    line.setAttribute('class', 'crosshair');
    line.setAttribute('data-live', '');
    line.setAttribute('y1', '0');
    line.setAttribute('y2', String(svg.viewBox.baseVal.height));
    svg.append(line);
  }
  const [left, right] = [Number(svg.dataset.left), Number(svg.dataset.right)];
  const x = String(left + (right - left) * share);
  line.setAttribute('x1', x);
  line.setAttribute('x2', x);
}
