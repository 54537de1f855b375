// What an operator asks, by clicks from `/` on words that stand there. Prints for each task the number of clicks, and what
// stood on the page where they ended. Arguments: the URL, and the range as `from=...&to=...`.

const { page, told } = require('./browser.js');

const [base, range] = process.argv.slice(2);

// From `/`: `click(selector, text)` presses the first that is shown and has the text.
async function task(browser, steps) {
  const { context, page: opened, complaints } = await page(browser);
  await opened.goto(`${base}/?${range}`);
  let clicks = 0;
  const click = async (selector, text) => {
    clicks += 1;
    const before = opened.url();
    await opened.locator(selector).filter({ hasText: text }).first().click();
    await opened.waitForURL((address) => address.href !== before);
  };
  const end = await steps(opened, click);
  await context.close();
  return { clicks, end, complaints };
}

// Rows of the table in this section, as text.
const rows = async (opened, section) =>
  (await opened.locator(`section[aria-labelledby="${section}"] tbody tr`).allInnerTexts()).map((row) =>
    row.replace(/\s+/g, ' ').trim(),
  );

const TASKS = {
  // The canary is a version that is worse than the others, as the first page says, and a trace shows where its time goes.
  async canary(opened, click) {
    await click('.troubles a', 'default/reviews v3');
    const worse = (await rows(opened, 'versions')).filter((row) => row.includes('worse'));
    await click('section[aria-labelledby="examples"] a[href^="/trace/"]', '');
    const spans = (await rows(opened, 'spans')).filter((row) => row.includes('reviews'));
    return { worse, spans };
  },
  // Calls that were tried more than once, and how they ended.
  async retries(opened, click) {
    await click('main a', 'default/reviews → default/ratings');
    return { policies: (await rows(opened, 'policies')).filter((row) => row.includes('retry')) };
  },
  // A rollout, and what was lost by it.
  async rollout(opened, click) {
    await click('svg a.node', 'productpage');
    return { rollouts: await rows(opened, 'rollouts') };
  },
};

told(async (browser) => {
  const done = {};
  for (const [name, steps] of Object.entries(TASKS)) {
    done[name] = await task(browser, steps);
  }
  return done;
});
