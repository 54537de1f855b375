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

told(async (browser) => {
  const opened = await page(browser);
  const { pages, broken } = await follow(opened, [`${base}/?${range}`]);
  await opened.context.close();
  const of = (path) => pages.find((address) => new URL(address).pathname.startsWith(path));
  const found = [`${base}/?${range}`, of('/service'), of('/edge'), of('/traces'), of('/trace/'), of('/requests'), of('/logs')];
  const past = found.map(ofBefore);
  const { only, complaints: more } = await scripted(browser, past);
  const changes = await changed(browser, past);
  return { count: pages.length, broken, only, changed: changes, complaints: opened.complaints.concat(more) };
});
