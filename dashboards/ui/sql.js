// The editor of SQL: colours, names that fit, Ctrl-Enter, and the statements of before. The text stays in the textarea, which people
// and browsers know how to use; its words lie over it once more in colours, which let the pointer through.

import { namesOf } from './names.js';

/** Where the statements of before are kept, newest first, and how many: what a list shows. */
const HISTORY = 'meshlake.sql';
const HISTORY_MAX = 30;

/** Names offered at once. */
const OFFERED_MAX = 8;

/** Words of SQL that are shown as such, and offered. */
const KEYWORDS = new Set(
  ('SELECT FROM WHERE GROUP BY ORDER LIMIT OFFSET HAVING AS AND OR NOT IN IS NULL LIKE ILIKE BETWEEN CASE WHEN THEN ELSE END ' +
    'JOIN LEFT RIGHT FULL INNER OUTER CROSS ON USING UNION ALL DISTINCT WITH OVER PARTITION INTERVAL CAST DESC ASC NULLS FIRST ' +
    'LAST EXISTS EXPLAIN ANALYZE SHOW TABLES COLUMNS DESCRIBE FILTER TRUE FALSE').split(' '),
);

/** A comment, a text, a name in quotes, a number, a word: the first that fits is the class. */
const TOKENS = /(--[^\n]*|\/\*[^]*?(?:\*\/|$))|('(?:[^']|'')*'?)|("(?:[^"]|"")*"?)|(\b\d[\w.]*)|([A-Za-z_]\w*)/g;

export function editSql() {
  const form = document.querySelector('form.statement');
  const area = form?.querySelector('textarea');
  if (!(form instanceof HTMLFormElement) || !area || form.dataset['liveEditor']) return;
  form.dataset['liveEditor'] = 'true';
  colour(area);
  offer(area, form);
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener('submit', () => remember(area.value.trim()));
  listHistory(form);
}

/**
 * Shows the text once more over the textarea, its words in colours and the rest transparent.
 * @param {HTMLTextAreaElement} area
 */
function colour(area) {
  const over = document.createElement('pre');
  over.className = 'colours';
  over.ariaHidden = 'true';
  over.dataset['live'] = '';
  area.after(over);
  const draw = () => {
    // A line end at the end shows no line without something behind it.
    over.replaceChildren(...tokens(area.value), '\n');
    over.scrollTo(area.scrollLeft, area.scrollTop);
  };
  area.addEventListener('input', draw);
  area.addEventListener('scroll', () => over.scrollTo(area.scrollLeft, area.scrollTop));
  draw();
}

/**
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
function tokens(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    const [token, comment, literal, quoted, number] = match;
    const name = comment ? 'comment' : literal ? 'literal' : quoted ? '' : number ? 'number' : 'word';
    if (!name || (name === 'word' && !KEYWORDS.has(token.toUpperCase()))) continue;
    const shown = document.createElement('span');
    shown.className = name;
    shown.textContent = token;
    found.push(text.slice(end, match.index), shown);
    end = match.index + token.length;
  }
  return [...found, text.slice(end)];
}

/**
 * Offers names that begin with what stands before the caret.
 * @param {HTMLTextAreaElement} area
 * @param {HTMLFormElement} form
 */
function offer(area, form) {
  const list = document.createElement('ul');
  list.className = 'offers';
  list.id = 'offers';
  list.role = 'listbox';
  list.ariaLabel = form.dataset['names'] ?? '';
  list.hidden = true;
  list.dataset['live'] = '';
  const help = document.createElement('p');
  help.className = 'hint';
  help.dataset['live'] = '';
  help.textContent = form.dataset['keys'] ?? '';
  area.after(list, help);
  area.setAttribute('aria-controls', list.id);
  area.setAttribute('aria-autocomplete', 'list');
  let chosen = 0;

  const close = () => {
    list.hidden = true;
    area.removeAttribute('aria-activedescendant');
  };
  /** @param {number} at */
  const choose = (at) => {
    const options = [...list.children];
    chosen = (at + options.length) % options.length;
    options.forEach((option, index) => option.setAttribute('aria-selected', String(index === chosen)));
    area.setAttribute('aria-activedescendant', `offer-${chosen}`);
  };
  /** @param {number} at */
  const take = (at) => {
    const name = list.children[at]?.textContent ?? '';
    const before = wordBefore(area);
    area.setRangeText(name, area.selectionStart - before.length, area.selectionStart, 'end');
    area.dispatchEvent(new Event('input'));
    close();
  };
  const show = async () => {
    const before = wordBefore(area);
    if (before.length < 2) return close();
    const names = await namesOf();
    if (before !== wordBefore(area)) return;
    const fitting = [...names, ...KEYWORDS].filter(
      (name) => name.toLowerCase().startsWith(before.toLowerCase()) && name.length > before.length,
    );
    list.replaceChildren(...fitting.slice(0, OFFERED_MAX).map(option));
    list.hidden = fitting.length === 0;
    if (list.hidden) close();
    else choose(0);
  };
  area.addEventListener('input', (event) => {
    if (event instanceof InputEvent) void show();
  });
  area.addEventListener('blur', close);
  area.addEventListener('keydown', (event) => {
    if (list.hidden) return;
    if (event.key === 'Escape') close();
    else if (event.key === 'Tab') take(chosen);
    else if (event.key === 'ArrowDown') choose(chosen + 1);
    else if (event.key === 'ArrowUp') choose(chosen - 1);
    else return;
    event.preventDefault();
  });
  // Before the textarea loses its focus, and the list is closed.
  list.addEventListener('pointerdown', (event) => {
    event.preventDefault();
    const at = [...list.children].findIndex((option) => option === event.target);
    if (at >= 0) take(at);
  });
}

/** @param {string} name @param {number} at */
function option(name, at) {
  const item = document.createElement('li');
  item.id = `offer-${at}`;
  item.role = 'option';
  item.textContent = name;
  return item;
}

/** @param {HTMLTextAreaElement} area */
function wordBefore(area) {
  return /[A-Za-z_][\w.]*$/.exec(area.value.slice(0, area.selectionStart))?.[0] ?? '';
}

/** @returns {string[]} */
function history() {
  try {
    const kept = JSON.parse(localStorage.getItem(HISTORY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((statement) => typeof statement === 'string') : [];
  } catch {
    // Storage that is forbidden, or holds what somebody else wrote there.
    return [];
  }
}

/** @param {string} statement */
function remember(statement) {
  const others = history().filter((other) => other !== statement);
  try {
    localStorage.setItem(HISTORY, JSON.stringify([statement, ...others].slice(0, HISTORY_MAX)));
  } catch {
    // Forbidden or full: there is no history then.
  }
}

/** @param {HTMLFormElement} form */
function listHistory(form) {
  const statements = history();
  if (statements.length === 0) return;
  const details = document.createElement('details');
  details.className = 'history';
  details.dataset['live'] = '';
  const summary = document.createElement('summary');
  summary.textContent = form.dataset['history'] ?? '';
  const list = document.createElement('ul');
  list.append(
    ...statements.map((statement) => {
      const address = new URL(location.href);
      address.searchParams.delete('explain');
      address.searchParams.set('q', statement);
      const link = document.createElement('a');
      link.href = address.href;
      link.textContent = statement;
      const item = document.createElement('li');
      item.append(link);
      return item;
    }),
  );
  details.append(summary, list);
  form.after(details);
}
