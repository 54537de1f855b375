// Tells times by the clock of whoever looks, where the address asks for it (`clock=local`): the server knows no zone but UTC, and
// what it wrote is right for whoever has no scripts.
//
// A time is a `<time>` with its instant, or has it in seconds as `data-at`, as labels of drawings do. What is told of it, a day and a
// minute or all down to milliseconds, stays as it is: the same part of the local time takes its place.

/** Where each part of `2026-01-31 12:34:56.789` begins in what the server writes. @type {[RegExp, number][]} */
const FORMS = [[/^\d{4}-\d\d-\d\d[ T]/, 0], [/^\d\d-\d\d \d\d:/, 5], [/^\d\d:\d\d/, 11]];

/** Makes the choice of a clock seen, which is of no use without scripts, and follows it. */
export function localClock() {
  for (const choice of document.querySelectorAll('nav.clock')) {
    if (choice instanceof HTMLElement) choice.hidden = false;
  }
  if (document.documentElement.dataset.clock !== 'local') return;
  for (const element of document.querySelectorAll('time[datetime], [data-at]')) tell(element);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const element of document.querySelectorAll('.zone')) element.textContent = zone;
}

/** @param {Element} element */
function tell(element) {
  const text = element.textContent ?? '';
  // The server's answer to a refresh takes the place of what was told here, and only then there is something to do.
  if (text === element.getAttribute('data-live-told')) return;
  const form = FORMS.find(([pattern]) => pattern.test(text));
  const at = instant(element);
  if (!form || Number.isNaN(at)) return;
  const told = local(at).slice(form[1], form[1] + text.replace('Z', '').length);
  element.textContent = told;
  element.setAttribute('data-live-told', told);
}

/** Milliseconds since 1970. @param {Element} element */
function instant(element) {
  const seconds = element.getAttribute('data-at');
  return seconds === null ? Date.parse(element.getAttribute('datetime') ?? '') : Number(seconds) * 1_000;
}

/** `2026-01-31 12:34:56.789` in the zone of the browser. @param {number} at */
function local(at) {
  const date = new Date(at);
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
