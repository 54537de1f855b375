// Every page over a mesh as people may have it before them: wide in light and dark, and as wide as a phone. Prints for each look
// what axe found and what the page complained of, as JSON; pictures go to the directory, if one is named.
// Arguments: the URL, the range as `from=...&to=...`, and the directory.

const path = require('node:path');
const { readFileSync } = require('node:fs');
const { page, told, WIDE, PHONE } = require('./browser.js');

const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [base, range, pictures] = process.argv.slice(2);

const LOOKS = {
  light: { colorScheme: 'light', viewport: WIDE },
  dark: { colorScheme: 'dark', viewport: WIDE },
  phone: { colorScheme: 'light', viewport: PHONE, deviceScaleFactor: 1, isMobile: true, hasTouch: true },
};

// Of a picture, in pixels: what a long page has further down is more of the same.
const PICTURE_HEIGHT_MAX = 1300;

// A name for the picture, and the address.
const PAGES = {
  mesh: '/',
  compared: '/?compare=10m&by=version',
  service: '/service?name=default%2Freviews',
  edge: '/edge?client=default%2Fproductpage&server=default%2Freviews',
  traces: '/traces',
  requests: '/requests',
  logs: '/logs',
  sql: '/sql?q=SELECT+*+FROM+golden()+ORDER+BY+requests+DESC',
  plan: '/sql?explain=1&q=SELECT+name,+count(*)+FROM+spans+GROUP+BY+name',
  chart: '/sql?view=chart&q=SELECT+service,+requests+FROM+golden()',
  statements: '/sql',
  operate: '/operate',
  start: '/start',
  chinese: '/?lang=zh',
};

const of = (address) => `${base}${address}${address.includes('?') ? '&' : '?'}${range}`;

// What axe finds in the page, a line each.
async function violations(opened) {
  await opened.evaluate(axe);
  return opened.evaluate(async () => {
    const { violations } = await globalThis.axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}`);
  });
}

// How far the page reaches out of the window to the side, in pixels. A phone's browser makes the window as wide as the page.
const overflow = async (opened) =>
  (await opened.evaluate(() => document.documentElement.scrollWidth)) - opened.viewportSize().width;

async function look(browser, name, options) {
  const found = {};
  const { context, page: opened, complaints } = await page(browser, options);
  const see = async (page, address) => {
    const answer = await opened.goto(address);
    found[page] = { status: answer.status(), axe: await violations(opened), overflow: await overflow(opened) };
    if (pictures) {
      const { width } = opened.viewportSize();
      const height = Math.min(PICTURE_HEIGHT_MAX, await opened.evaluate(() => document.documentElement.scrollHeight));
      const clip = { x: 0, y: 0, width, height };
      await opened.screenshot({ path: path.join(pictures, `${page}-${name}.png`), fullPage: true, clip });
    }
  };
  for (const [page, address] of Object.entries(PAGES)) {
    await see(page, of(address));
    if (page === 'traces') {
      const trace = await opened.locator('main a[href^="/trace/"]').first().getAttribute('href');
      await see('trace', `${base}${trace}`);
    }
  }
  await context.close();
  return { pages: found, complaints };
}

told(async (browser) => {
  // Side by side: while the server answers one, axe looks at another.
  const looks = Object.entries(LOOKS).map(async ([name, options]) => [name, await look(browser, name, options)]);
  return Object.fromEntries(await Promise.all(looks));
});
