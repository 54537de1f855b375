// Every page by the keyboard alone: each control is reached by Tab, shows that it is, and does what it is there for. Prints what
// cannot be done as JSON. Arguments: the URL, and the range as `from=...&to=...`.

const { page, told } = require('./browser.js');

const [base, range] = process.argv.slice(2);

// Stops of a page: the longest has some hundred. More of them, and focus is caught in a circle.
const STOPS_MAX = 1_500;

// Presses to one control, of a page of that many.
const PRESSES_MAX = 400;

const PAGES = {
  mesh: '/',
  service: '/service?name=default%2Freviews',
  edge: '/edge?client=default%2Fproductpage&server=default%2Freviews',
  traces: '/traces',
  requests: '/requests',
  logs: '/logs',
  sql: '/sql?q=SELECT+*+FROM+golden()+ORDER+BY+requests+DESC',
  operate: '/operate',
  start: '/start',
};

const of = (address) => `${base}${address}${address.includes('?') ? '&' : '?'}${range}`;

// What has the focus; nothing where it has left the page, or has come to where it was before. A drawing moves what has the focus
// into view with the next frame.
async function focused() {
  const element = document.activeElement;
  if (!element || element === document.body || globalThis.walked?.has(element)) return null;
  globalThis.walked = (globalThis.walked ?? new Set()).add(element);
  if (element instanceof SVGElement) await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const { left, right, top, bottom } = element.getBoundingClientRect();
  const isInView = right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
  const { outlineStyle } = getComputedStyle(element);
  const name = `${element.nodeName} ${element.id} ${(element.textContent ?? '').trim().slice(0, 40)}`;
  return { name, wrong: [isInView ? '' : 'out of view', outlineStyle === 'none' ? 'does not show it' : ''].filter(Boolean) };
}

// Controls that were never reached, of those that can be used now: what is in closed details opens first.
function missed() {
  const controls = document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]');
  const usable = (element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ visibilityProperty: true });
  const lost = [...controls].filter((element) => usable(element) && !globalThis.walked?.has(element));
  return lost.map((element) => element.outerHTML.slice(0, 120));
}

async function walk(opened) {
  const wrong = [];
  let stops = 0;
  for (; stops < STOPS_MAX; stops += 1) {
    await opened.keyboard.press('Tab');
    const found = await opened.evaluate(focused);
    if (!found) break;
    wrong.push(...found.wrong.map((what) => `${found.name}: ${what}`));
  }
  if (stops === STOPS_MAX) wrong.push('the way through has no end');
  wrong.push(...(await opened.evaluate(missed)).map((what) => `${what}: is not reached`));
  return { stops, wrong };
}

// Presses Tab until an element has the focus that is such a one and has this text.
async function reach(opened, selector, text = '') {
  for (let presses = 0; presses < PRESSES_MAX; presses += 1) {
    await opened.keyboard.press('Tab');
    const isThere = ([selector, text]) => {
      const element = document.activeElement;
      return element !== null && element.matches(selector) && (element.textContent ?? '').includes(text);
    };
    if (await opened.evaluate(isThere, [selector, text])) return;
  }
  throw new Error(`${selector} ${text} is not reached on ${opened.url()}`);
}

const parameter = (opened, name) => new URL(opened.url()).searchParams.get(name);

// Presses a key that leads to another page, and waits for it.
async function leave(opened, key) {
  const before = opened.url();
  await opened.keyboard.press(key);
  await opened.waitForURL((address) => address.href !== before);
}

const transform = (opened) =>
  opened.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const { m11: scale, m41: x, m42: y } = new DOMMatrix(getComputedStyle(document.querySelector('svg.graph')).transform);
    return { scale, x, y };
  });

// What people do; each tells what was not as it should be.
const DEEDS = {
  async 'the skip link leads to the content'(opened) {
    await opened.goto(of('/'));
    await opened.keyboard.press('Tab');
    await opened.keyboard.press('Enter');
    return new URL(opened.url()).hash === '#main' ? '' : opened.url();
  },
  async 'the drawing moves and zooms'(opened) {
    await opened.goto(of('/'));
    await reach(opened, '.view .scroll');
    const rest = await transform(opened);
    await opened.keyboard.press('+');
    const near = await transform(opened);
    await opened.keyboard.press('ArrowRight');
    await opened.keyboard.press('ArrowDown');
    const moved = await transform(opened);
    await opened.keyboard.press('0');
    const again = await transform(opened);
    const isRight = near.scale > rest.scale && moved.x < near.x && moved.y < near.y && again.scale === rest.scale && again.x === rest.x;
    return isRight ? '' : JSON.stringify({ rest, near, moved, again });
  },
  async 'a node leads to its page'(opened) {
    await opened.goto(of('/'));
    await reach(opened, 'a.node', 'reviews');
    await leave(opened, 'Enter');
    return parameter(opened, 'name') === 'default/reviews' ? '' : opened.url();
  },
  async 'a form is filled and sent'(opened) {
    await opened.goto(of('/'));
    await reach(opened, 'select[name="label"]');
    await opened.keyboard.press('ArrowDown');
    await reach(opened, 'input[name="focus"]');
    await opened.keyboard.type('reviews');
    await leave(opened, 'Enter');
    const isSent = parameter(opened, 'label') === 'errors' && parameter(opened, 'focus') === 'reviews';
    return isSent ? '' : opened.url();
  },
  async 'details open'(opened) {
    await opened.goto(of('/service?name=default%2Freviews'));
    await reach(opened, 'details.numbers summary');
    await opened.keyboard.press('Enter');
    const isOpen = await opened.evaluate(() => document.activeElement?.parentElement?.open === true);
    return isOpen ? '' : 'the numbers stay closed';
  },
  async 'a waterfall is walked and folded'(opened) {
    await opened.goto(of('/traces'));
    await reach(opened, 'main a[href^="/trace/"]');
    await leave(opened, 'Enter');
    await opened.locator('.fall').waitFor();
    await reach(opened, '.fall');
    const active = () => opened.evaluate(() => document.querySelector('.fall')?.getAttribute('aria-activedescendant'));
    const first = await active();
    await opened.keyboard.press('ArrowDown');
    const second = await active();
    await opened.keyboard.press('Home');
    await opened.keyboard.press('ArrowLeft');
    const closed = parameter(opened, 'closed');
    await opened.keyboard.press('ArrowRight');
    const reopened = parameter(opened, 'closed');
    await leave(opened, 'Enter');
    const isRight = first !== second && closed && !reopened && parameter(opened, 'span');
    return isRight ? '' : JSON.stringify({ first, second, closed, reopened, address: opened.url() });
  },
  async 'the editor of SQL is left by Tab, and its statement runs'(opened) {
    await opened.goto(of('/sql'));
    await reach(opened, 'textarea');
    await opened.keyboard.press('Control+A');
    await opened.keyboard.type('SELECT 6 * 7 AS answer');
    await opened.keyboard.press('Escape');
    await reach(opened, 'button');
    await leave(opened, 'Enter');
    const cells = await opened.locator('.result td, .result th').allInnerTexts();
    return cells.includes('42') ? '' : JSON.stringify(cells);
  },
  async 'requests are followed and let go'(opened) {
    // Only what ends now has more to come.
    await opened.goto(`${base}/requests?range=24h`);
    await reach(opened, 'button[data-part="follow"]');
    const pressed = () => opened.evaluate(() => document.activeElement?.getAttribute('aria-pressed'));
    await opened.keyboard.press('Enter');
    const on = await pressed();
    await opened.keyboard.press('Enter');
    const off = await pressed();
    return on === 'true' && off === 'false' ? '' : JSON.stringify({ on, off });
  },
};

told(async (browser) => {
  const { page: opened, complaints } = await page(browser);
  const stops = {};
  const wrong = [];
  for (const [name, address] of Object.entries(PAGES)) {
    await opened.goto(of(address));
    const found = await walk(opened);
    stops[name] = found.stops;
    wrong.push(...found.wrong.map((what) => `${name}: ${what}`));
  }
  for (const [deed, does] of Object.entries(DEEDS)) {
    const what = await does(opened).catch((error) => error.message);
    if (what) wrong.push(`${deed}: ${what}`);
  }
  return { stops, wrong, complaints };
});
