// Follows every link and every choice of a form that leads to a page of a kind not seen before. The first of each path are opened;
// of the others, which differ by a parameter, only the status is asked for.

// So many of a path: the page as one comes to it, and some of its choices.
const OPENED_MAX = 4;

// What a link changes: the parameters of the same page that become others, or where it leads to. Whom a page is about, ids in its path
// and values, makes no other kind, or there would be as many as there are ways through.
function kind(address, before) {
  const [to, at] = [new URL(address), new URL(before)];
  const names = new Set([...to.searchParams.keys(), ...(to.pathname === at.pathname ? at.searchParams.keys() : [])]);
  const changed = [...names].filter((name) => to.pathname !== at.pathname || to.searchParams.get(name) !== at.searchParams.get(name));
  return `${to.pathname.replace(/[0-9a-f]{16,}/g, 'ID')} ${changed.sort()}`;
}

function isOtherRange(link, before) {
  const [its, had] = [new URL(link).searchParams, new URL(before).searchParams];
  return ['from', 'to', 'range'].some((name) => its.get(name) !== had.get(name) && had.has('from'));
}

// The addresses of the page's links, and those that its forms lead to: as they stand, and with each choice of each list.
function addresses() {
  const links = [...document.querySelectorAll('a[href]')].map((link) => new URL(link.getAttribute('href'), location).href.split('#')[0]);
  const forms = [...document.forms].filter((form) => form.method === 'get');
  const sent = (form) => {
    const address = new URL(form.action);
    address.search = new URLSearchParams(new FormData(form));
    return address.href;
  };
  const choices = forms.flatMap((form) => {
    const asItStands = { choice: 'as it stands', address: sent(form) };
    const lists = [...form.querySelectorAll('select')].flatMap((list) => {
      const chosen = list.value;
      const each = [...list.options].map((option) => {
        list.value = option.value;
        return { choice: `${list.name}=${option.value}`, address: sent(form) };
      });
      list.value = chosen;
      return each;
    });
    return [asItStands, ...lists];
  });
  return { links, choices };
}

// Opens `starts` and every page of a new kind that can be reached from there. Tells their addresses, those that are answered
// with an error, and what `visit` has to say of each page.
async function follow({ page: opened, context }, starts, visit = async () => []) {
  const seen = new Map();
  const waiting = starts.map((address) => ({ address, key: address, from: 'the start' }));
  const { origin } = new URL(starts[0]);
  const broken = [];
  const said = [];
  const opens = new Map();
  while (waiting.length > 0) {
    const { address, key, from } = waiting.shift();
    if (seen.has(key)) continue;
    seen.set(key, address);
    const place = new URL(address).pathname.replace(/[0-9a-f]{16,}/g, 'ID');
    opens.set(place, (opens.get(place) ?? 0) + 1);
    if (opens.get(place) > OPENED_MAX) {
      const status = (await context.request.get(address)).status();
      if (status >= 400) {
        broken.push(`${status} at ${address}, from ${from}`);
      }
      continue;
    }
    // What is no page but a file to keep fails to open.
    const opening = opened.goto(address).catch(() => null);
    const answer = (await opening) ?? (await context.request.get(address));
    const type = answer.headers()['content-type'] ?? '';
    if (answer.status() >= 400) {
      broken.push(`${answer.status()} at ${address}, from ${from}`);
    }
    if (!type.startsWith('text/html') || new URL(opened.url()).origin !== origin) continue;
    said.push(...(await visit(opened)).map((what) => `${address}: ${what}`));
    const { links, choices } = await opened.evaluate(addresses);
    const path = new URL(address).pathname;
    // In another range there may be nothing to show.
    const within = (link) => new URL(link).origin === origin && !isOtherRange(link, address);
    for (const link of links.filter(within)) {
      waiting.push({ address: link, key: kind(link, address), from: address });
    }
    for (const { choice, address: chosen } of choices) {
      waiting.push({ address: chosen, key: `${path} ${choice}`, from: address });
    }
  }
  return { pages: [...seen.values()], broken, said };
}

module.exports = { follow };
