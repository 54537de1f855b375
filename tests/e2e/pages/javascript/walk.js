// Walks over all pages; compares pages with and without scripts; opens deep links twice. Prints what was found as JSON.
// Arguments: the URL, and the range as `from=...&to=...`.

const { page, told } = require('./browser.js');
const { follow } = require('./follow.js');

const [base, range] = process.argv.slice(2);

// What the text says: each cell of a table, each figure, each text of a drawing.
function facts() {
  const text = (element) => element.textContent.replace(/\s+/g, ' ').trim();
  const found = [...document.querySelectorAll('main td, main th, main dd, main li, main svg text')].map(text);
  return [...new Set(found)].filter((fact) => fact !== '');
}

// Facts that only a script shows, by page.
async function scripted(browser, addresses) {
  const only = {};
  const withScripts = await page(browser);
  const without = await page(browser, { javaScriptEnabled: false });
  for (const address of addresses) {
    await withScripts.page.goto(address);
    await without.page.goto(address);
    const known = new Set(await without.page.evaluate(facts));
    const more = (await withScripts.page.evaluate(facts)).filter((fact) => !known.has(fact));
    if (known.size === 0 || more.length > 0) {
      only[address] = { known: known.size, more };
    }
  }
  await withScripts.context.close();
  await without.context.close();
  return { only, complaints: withScripts.complaints.concat(without.complaints) };
}

// The same page of the second minute of the range, of which nothing is told any more that was not told before; nor is it told of what
// the timeline shows around it.
function ofBefore(address) {
  const { origin, pathname, searchParams } = new URL(address);
  const from = Date.parse(new URLSearchParams(range).get('from'));
  const at = (seconds) => new Date(from + seconds * 1_000).toISOString();
  searchParams.set('from', at(60));
  searchParams.set('to', at(120));
  return `${origin}${pathname}?${searchParams}`;
}

// Where lines and boxes of drawings are.
function drawn() {
  const shapes = [...document.querySelectorAll('main svg path, main svg rect')];
  return shapes.map((shape) => ['d', 'x', 'y', 'width', 'height'].map((name) => shape.getAttribute(name)).join(' '));
}

// What an address tells and draws on one of two openings only.
async function changed(browser, addresses) {
  const opened = await page(browser, { javaScriptEnabled: false });
  const seen = async () => {
    const told = [];
    for (const address of addresses) {
      await opened.page.goto(address);
      told.push([...(await opened.page.evaluate(facts)), ...(await opened.page.evaluate(drawn))]);
    }
    return told;
  };
  const [first, second] = [await seen(), await seen()];
  await opened.context.close();
  const without = (one, other) => one.filter((fact) => !other.includes(fact));
  const differences = addresses.map((address, at) => {
    const only = [...without(first[at], second[at]), ...without(second[at], first[at])];
    return only.length > 0 ? `${address}: ${only.slice(0, 10).join(' | ')}` : '';
  });
  return differences.filter((difference) => difference !== '');
}

// What the clock of somebody in Shanghai does not tell as it should: eight hours later, and whose it is.
async function clock(browser) {
  const { context, page: opened, complaints } = await page(browser, { timezoneId: 'Asia/Shanghai' });
  await opened.goto(`${base}/?${range}&clock=local`);
  const told = await opened.locator('.range time, .range .zone').allInnerTexts();
  // Ranges begin at whole ten seconds.
  const begin = Math.floor(Date.parse(new URLSearchParams(range).get('from')) / 10_000) * 10_000;
  const from = new Date(begin + 8 * 3_600_000);
  const want = from.toISOString().slice(0, 19).replace('T', ' ');
  await context.close();
  const isTold = told[0] === want && told.at(-1) === 'Asia/Shanghai';
  return isTold ? complaints : [`${told} is not ${want}`, ...complaints];
}

// Whether requests are loaded again and again while the button is pressed, and no more when it is not.
async function live(browser) {
  const { context, page: opened, complaints } = await page(browser);
  await opened.goto(`${base}/requests?range=24h`);
  const button = opened.locator('button[data-part="follow"]');
  await button.click();
  for (let answers = 0; answers < 3; answers += 1) {
    await opened.waitForResponse((response) => new URL(response.url()).pathname === '/requests');
  }
  const pressed = await button.getAttribute('aria-pressed');
  await button.click();
  const released = await button.getAttribute('aria-pressed');
  await context.close();
  return pressed === 'true' && released === 'false' ? complaints : [`pressed ${pressed}, ${released}`, ...complaints];
}

told(async (browser) => {
  const opened = await page(browser);
  const { pages, broken } = await follow(opened, [`${base}/?${range}`]);
  await opened.context.close();
  const parts = [...(await clock(browser)), ...(await live(browser))];
  const of = (path) => pages.find((address) => new URL(address).pathname.startsWith(path));
  const found = [`${base}/?${range}`, of('/service'), of('/edge'), of('/traces'), of('/trace/'), of('/requests'), of('/logs')];
  const past = found.map(ofBefore);
  const { only, complaints: more } = await scripted(browser, past);
  const changes = await changed(browser, past);
  return { count: pages.length, broken, only, changed: changes, complaints: opened.complaints.concat(parts, more) };
});
