// Pages over names that are markup: nothing of it may become an element or run, and nothing may even try. Prints what was found
// as JSON. Arguments: the URL, and further addresses to begin at.

const { page, told } = require('./browser.js');
const { follow } = require('./follow.js');

const [base, ...more] = process.argv.slice(2);

// What the pages themselves never have, and a flag that each hostile text would set.
function made() {
  const elements = 'script:not([src]), iframe, object, embed, base, img, [onerror], [onload], [onclick], [onfocus], [onmouseover], [ontoggle], main style';
  const found = [...document.querySelectorAll(elements)].map((element) => element.outerHTML.slice(0, 200));
  const links = [...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'));
  const scripts = links.filter((link) => !/^(\/|https?:\/\/|#)/.test(link));
  return [...found, ...scripts, ...(globalThis.hit === undefined ? [] : ['a script ran'])];
}

told(async (browser) => {
  const opened = await page(browser);
  const starts = ['/', ...more].map((address) => `${base}${address}`);
  const { pages, broken, said } = await follow(opened, starts, (page) => page.evaluate(made));
  return { count: pages.length, broken, said, complaints: opened.complaints };
});
