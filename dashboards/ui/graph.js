// Moves and zooms the drawing of the mesh, and makes the neighbours of what is pointed at stand out.
//
// The drawing is moved as one picture, by a transform of the whole `<svg>`: nothing in it is laid out anew, so that 1,500 nodes and
// 4,000 edges move like one. While it moves it may be blurred; once it rests it is drawn at its new size.
// Boxes and edges know each other by `data-node` and `data-ends`, places in the drawing that the server gave them.

/** How far one may zoom in, and how far out of the whole picture. */
const SCALE_MAX = 4;
const BEYOND_WHOLE = 0.5;

/** A drawing that fits is not blown up. */
const FIT_MAX = 1;

/** Zoom of a key or a button, which is the most of one turn of a wheel as well. */
const STEP = 1.25;

/** Zoom of a pixel that a wheel or a pinch turns by, as a power of e; and the pixels of a line. */
const WHEEL = 0.006;
const LINE = 30;

/** Pixels that an arrow key moves by, and that a pointer must move to drag and not to click. */
const ARROW = 60;
const DRAG_MIN = 4;

/** Part of the window's height that a drawing takes at most, and pixels that it takes at least. */
const HEIGHT_SHARE = 0.72;
const HEIGHT_MIN = 160;

/** Where names can be read. A drawing that would be smaller, but of which a good part is seen then, starts so. */
const READABLE = 0.5;
const PART_SEEN = 3;

/** Where boxes are specks: the whole of such a drawing tells nothing, and it starts where names can be read. */
const SPECKS = 0.08;

/** More elements than these are not dimmed one by one, which would take longer than a look. */
const DIMMED_MAX = 600;

/** Milliseconds without a movement after which the drawing is drawn sharply. */
const REST = 160;

/** @type {WeakMap<Element, GraphView>} */
const views = new WeakMap();

/** Makes every drawing live that is not, and fits those whose size has changed. */
export function graphs() {
  for (const part of document.querySelectorAll('[data-part="graph"]')) {
    const view = views.get(part);
    if (view) view.renewed();
    else if (part instanceof HTMLElement) views.set(part, new GraphView(part));
  }
}

class GraphView {
  /** @param {HTMLElement} part */
  constructor(part) {
    this.part = part;
    const frame = part.querySelector('.scroll');
    if (!(frame instanceof HTMLElement)) throw new Error('a drawing has a frame');
    this.frame = frame;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.isFitted = true;
    /** @type {Map<number, { x: number, y: number }>} */
    this.pointers = new Map();
    this.isDragging = false;
    /** The scale at which all is in view. */
    this.whole = 1;
    this.rest = 0;
    this.drawing = 0;
    /** @type {Element | null} what is pointed at */
    this.lit = null;
    /** What stands out with it. @type {Element[]} */
    this.near = [];
    /** What is found of the drawing when something in it is first pointed at. @type {Touching | null} */
    this.touching = null;
    // Over the drawing while it moves, so that nothing looks for what of it is under the pointer.
    this.glass = document.createElement('div');
    this.glass.className = 'glass';
    this.glass.dataset.live = '';
    this.glass.hidden = true;
    frame.append(this.glass);
    part.dataset.liveView = '';
    this.listen();
    this.fit();
    const isPartSeen = this.whole * PART_SEEN > READABLE;
    if (this.whole < READABLE && (isPartSeen || this.whole < SPECKS)) this.startReadable();
  }

  /** The drawing; a refresh may have put another in its place. */
  get svg() {
    const svg = this.frame.querySelector('svg');
    if (!svg) throw new Error('a drawing is an svg');
    return svg;
  }

  get size() {
    const { width, height } = this.svg.viewBox.baseVal;
    return { width, height };
  }

  /** After a refresh: where the eye was it stays, unless all was in view. */
  renewed() {
    this.touching = null;
    if (this.isFitted) this.fit();
    else this.show();
  }

  fit() {
    const { width, height } = this.size;
    this.whole = Math.min(this.frame.clientWidth / width, this.room / height, FIT_MAX);
    this.makeRoom(this.whole);
    this.scale = this.whole;
    this.x = (this.frame.clientWidth - width * this.scale) / 2;
    this.y = (this.frame.clientHeight - height * this.scale) / 2;
    this.isFitted = true;
    this.show();
  }

  /** Pixels that the drawing may be high. */
  get room() {
    return innerHeight * HEIGHT_SHARE;
  }

  /** @param {number} scale at which the frame is as high as the drawing, within bounds */
  makeRoom(scale) {
    const height = Math.min(this.room, this.size.height * scale);
    // Two pixels are the frame's border.
    this.frame.style.height = `${Math.max(HEIGHT_MIN, height) + 2}px`;
  }

  /** From the left on, where calls come from. */
  startReadable() {
    this.makeRoom(READABLE);
    this.scale = READABLE;
    this.x = 0;
    this.y = (this.frame.clientHeight - this.size.height * READABLE) / 2;
    this.isFitted = false;
    this.show();
  }

  /**
   * Zooms about a point of the frame.
   * @param {number} factor @param {{ x: number, y: number }} about
   */
  zoom(factor, about) {
    const least = Math.min(this.whole, 1) * BEYOND_WHOLE;
    const scale = Math.min(SCALE_MAX, Math.max(least, this.scale * factor));
    this.x = about.x - ((about.x - this.x) * scale) / this.scale;
    this.y = about.y - ((about.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.isFitted = false;
    this.show();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.isFitted = false;
    this.show();
  }

  /** At most once a frame; some of the drawing always stays in view. */
  show() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      const { width, height } = this.size;
      const margin = 80;
      this.x = Math.min(this.frame.clientWidth - margin, Math.max(margin - width * this.scale, this.x));
      this.y = Math.min(this.frame.clientHeight - margin, Math.max(margin - height * this.scale, this.y));
      const { style } = this.svg;
      style.willChange = 'transform';
      style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      clearTimeout(this.rest);
      this.rest = setTimeout(() => this.settle(), REST);
    });
  }

  settle() {
    this.svg.style.willChange = '';
    this.glass.hidden = true;
  }

  get middle() {
    return { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 };
  }

  listen() {
    const { frame, part } = this;
    part.addEventListener('click', (event) => {
      const button = event.target instanceof Element ? event.target.closest('button[data-do]') : null;
      if (button instanceof HTMLButtonElement) this.act(button.dataset.do ?? '');
    });
    frame.addEventListener('wheel', (event) => this.wheeled(event), { passive: false });
    frame.addEventListener('keydown', (event) => this.typed(event));
    frame.addEventListener('pointerdown', (event) => this.pressed(event));
    frame.addEventListener('pointermove', (event) => this.moved(event));
    for (const end of /** @type {const} */ (['pointerup', 'pointercancel'])) {
      frame.addEventListener(end, (event) => this.released(event));
    }
    // A link that is dragged would be taken out of the page.
    frame.addEventListener('dragstart', (event) => event.preventDefault());
    frame.addEventListener('click', (event) => {
      if (this.isDragging) event.preventDefault();
      this.isDragging = false;
    }, { capture: true });
    frame.addEventListener('focusin', (event) => this.reveal(event.target));
    for (const over of /** @type {const} */ (['pointerover', 'focusin'])) {
      frame.addEventListener(over, (event) => this.light(event.target));
    }
    for (const out of /** @type {const} */ (['pointerleave', 'focusout'])) {
      frame.addEventListener(out, () => this.light(null));
    }
    new ResizeObserver(() => { if (this.isFitted) this.fit(); }).observe(part);
  }

  /** @param {string} name */
  act(name) {
    if (name === 'in') this.zoom(STEP, this.middle);
    if (name === 'out') this.zoom(1 / STEP, this.middle);
    if (name === 'fit') this.fit();
  }

  /**
   * The wheel belongs to the page, unless it is meant: with Ctrl, as a pinch of a touchpad is told, or when the drawing is in use.
   * @param {WheelEvent} event
   */
  wheeled(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.frame) return;
    event.preventDefault();
    this.glass.hidden = false;
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * LINE;
    this.zoom(Math.min(STEP, Math.max(1 / STEP, Math.exp(-pixels * WHEEL))), this.place(event));
  }

  /** @param {KeyboardEvent} event */
  typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.pan(ARROW, 0),
      ArrowRight: () => this.pan(-ARROW, 0),
      ArrowUp: () => this.pan(0, ARROW),
      ArrowDown: () => this.pan(0, -ARROW),
      '+': () => this.act('in'),
      '=': () => this.act('in'),
      '-': () => this.act('out'),
      0: () => this.act('fit'),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** @param {MouseEvent} event */
  place(event) {
    const { left, top } = this.frame.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** @param {PointerEvent} event */
  pressed(event) {
    if (event.button !== 0) return;
    this.pointers.set(event.pointerId, this.place(event));
    if (this.pointers.size === 1) this.isDragging = false;
  }

  /**
   * One pointer drags, two zoom about their middle.
   * @param {PointerEvent} event
   */
  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.place(event);
    const far = Math.hypot(now.x - before.x, now.y - before.y);
    if (!this.isDragging && this.pointers.size === 1 && far < DRAG_MIN) return;
    this.glass.hidden = false;
    if (!this.isDragging) {
      this.isDragging = true;
      // Of the glass alone: thousands of elements of the drawing would take it over from their frame, a style each.
      this.glass.style.cursor = 'grabbing';
      // From here on a pointer that leaves the frame still drags; before, links must get its click.
      this.frame.setPointerCapture(event.pointerId);
    }
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (!other) {
      this.pan(now.x - before.x, now.y - before.y);
      return;
    }
    const apart = (/** @type {{ x: number, y: number }} */ place) => Math.hypot(place.x - other.x, place.y - other.y);
    this.zoom(apart(now) / Math.max(1, apart(before)), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  }

  /** @param {PointerEvent} event */
  released(event) {
    this.pointers.delete(event.pointerId);
    this.glass.style.cursor = '';
  }

  /**
   * Moves what has the focus into view; a frame that hides what does not fit would be scrolled instead.
   * @param {EventTarget | null} target
   */
  reveal(target) {
    this.frame.scrollTo(0, 0);
    if (!(target instanceof SVGElement) || !target.matches(':focus-visible')) return;
    const [frame, box] = [this.frame.getBoundingClientRect(), target.getBoundingClientRect()];
    const beyond = (/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ from, /** @type {number} */ to) =>
      low < from ? from - low : Math.min(0, to - high);
    const dx = beyond(box.left, box.right, frame.left + 8, frame.right - 8);
    const dy = beyond(box.top, box.bottom, frame.top + 8, frame.bottom - 8);
    if (dx || dy) this.pan(dx, dy);
  }

  /**
   * Makes a node or an edge stand out with what it touches.
   * @param {EventTarget | null} target
   */
  light(target) {
    const over = target instanceof Element ? target.closest('[data-node], [data-ends]') : null;
    if (over === this.lit) return;
    this.lit = over;
    this.near.forEach((element) => element.removeAttribute('data-live-near'));
    this.near = [];
    const { svg } = this;
    delete svg.dataset.liveLit;
    if (!(over instanceof SVGElement)) return;
    this.touching ??= touchingOf(svg);
    const { edges, nodes, count } = this.touching;
    const { node, ends } = over.dataset;
    const near = edges.get(ends ?? node ?? '') ?? [];
    const ofEnds = near.flatMap((edge) => endsOf(edge));
    const boxes = new Set([...ofEnds, node ?? '']);
    this.near = [...near, ...[...boxes].flatMap((end) => nodes.get(end) ?? [])];
    this.near.forEach((element) => element.setAttribute('data-live-near', ''));
    if (count <= DIMMED_MAX) svg.dataset.liveLit = 'dim';
  }
}

/**
 * Edges and their labels by each node that they touch and by both their ends, and boxes by their node.
 * @typedef {{ edges: Map<string, Element[]>, nodes: Map<string, Element>, count: number }} Touching
 */

/**
 * Looked through once: of thousands of edges that takes as long as several frames.
 * @param {SVGSVGElement} svg
 * @returns {Touching}
 */
function touchingOf(svg) {
  const all = [...svg.querySelectorAll('[data-ends]')];
  /** @type {Map<string, Element[]>} */
  const edges = new Map();
  for (const edge of all) {
    for (const key of new Set([...endsOf(edge), edge.getAttribute('data-ends') ?? ''])) {
      const known = edges.get(key);
      if (known) known.push(edge);
      else edges.set(key, [edge]);
    }
  }
  const nodes = [...svg.querySelectorAll('[data-node]')];
  return { edges, nodes: new Map(nodes.map((node) => [node.getAttribute('data-node') ?? '', node])), count: all.length };
}

/** @param {Element} edge */
function endsOf(edge) {
  return (edge.getAttribute('data-ends') ?? '').split(' ');
}
