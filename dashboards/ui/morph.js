// Changes a tree of elements into another with as few changes as it takes. What is alike stays the same element, so that scroll,
// focus, selection, what a person typed and what scripts know of an element survive.
//
// What belongs to people and scripts is left alone: whether `<details>` are open, the values of fields, `style`, attributes that
// begin with `data-live`, and elements that have the attribute `data-live`, which only scripts make.
//
// Children are matched by id, or by `data-key` where a list may change its order; the others one after another, by kind.

/**
 * @param {Element} old what is shown
 * @param {Element} wanted what it shall be
 */
export function morph(old, wanted) {
  morphAttributes(old, wanted);
  morphChildren(old, wanted);
}

/** @param {Element} old @param {Element} wanted */
function morphAttributes(old, wanted) {
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && !isOurs(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (!isOurs(old, name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

/** @param {Element} element @param {string} name */
function isOurs(element, name) {
  const isState = element instanceof HTMLDetailsElement && name === 'open';
  return isState || name === 'style' || name.startsWith('data-live');
}

/** @param {Element} old @param {Element} wanted */
function morphChildren(old, wanted) {
  const keys = new Set([...wanted.children].map(keyOf));
  /** @type {Map<string | null, Element>} */
  const keyed = new Map();
  for (const child of [...old.children]) {
    const key = keyOf(child);
    if (key && keys.has(key)) keyed.set(key, child);
    else if (key && !child.hasAttribute('data-live')) child.remove();
  }
  let next = shown(old.firstChild);
  for (const child of [...wanted.childNodes]) {
    const known = keyOf(child) ? keyed.get(keyOf(child)) : next;
    const match = known && isAlike(known, child) ? known : null;
    if (!match) {
      old.insertBefore(document.importNode(child, true), next);
      continue;
    }
    if (match === next) next = shown(match.nextSibling);
    else old.insertBefore(match, next);
    if (match instanceof Element && child instanceof Element) morph(match, child);
    else if (match.nodeValue !== child.nodeValue) match.nodeValue = child.nodeValue;
  }
  while (next) {
    const gone = next;
    next = shown(next.nextSibling);
    gone.remove();
  }
}

/**
 * The first from `node` on that the server sent.
 * @param {ChildNode | null} node
 */
function shown(node) {
  while (node instanceof Element && node.hasAttribute('data-live')) node = node.nextSibling;
  return node;
}

/** @param {Node} node */
function keyOf(node) {
  return node instanceof Element ? node.id || node.getAttribute('data-key') : null;
}

/** @param {Node} old @param {Node} wanted */
function isAlike(old, wanted) {
  return old.nodeName === wanted.nodeName && keyOf(old) === keyOf(wanted);
}
