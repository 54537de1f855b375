// A mesh of 1,500 nodes and a trace of 100,000 spans in a browser: that they can be moved, zoomed, scrolled and walked, and what that
// costs by the browser's own trace. Prints it as JSON. Arguments: the address of the mesh, and of the trace.

const { page, told } = require('./browser.js');

const [mesh, trace] = process.argv.slice(2);

const CATEGORIES = ['disabled-by-default-devtools.timeline', 'devtools.timeline', 'toplevel'];

// What a page does on its main thread for a frame: script, style and layout.
const WORK = new Set(['FunctionCall', 'EventDispatch', 'FireAnimationFrame', 'TimerFire', 'UpdateLayoutTree', 'Layout']);

// Milliseconds of each frame and task while `act` runs, of the processor's time: how long others have it is not the page's doing.
async function traced(context, opened, act) {
  const session = await context.newCDPSession(opened);
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  const ended = new Promise((done) => session.once('Tracing.tracingComplete', done));
  await session.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: CATEGORIES } });
  await act();
  await session.send('Tracing.end');
  await ended;
  await session.detach();
  return measured(events);
}

function measured(events) {
  const isMain = ({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain';
  const mains = new Set(events.filter(isMain).map(({ pid, tid }) => `${pid} ${tid}`));
  const ours = events.filter(({ pid, tid }) => mains.has(`${pid} ${tid}`)).sort((a, b) => a.ts - b.ts);
  const ends = ours.filter(({ name }) => name === 'BeginCommitCompositorFrame').map(({ ts }) => ts);
  const frames = new Array(ends.length + 1).fill(0);
  const taken = ({ tdur, dur = 0 }) => (tdur ?? dur) / 1_000;
  let end = 0;
  let frame = 0;
  for (const event of ours) {
    // What one calls belongs to it.
    if (!WORK.has(event.name) || event.ts < end) continue;
    end = event.ts + (event.dur ?? 0);
    while (frame < ends.length && ends[frame] < event.ts) frame += 1;
    frames[frame] += taken(event);
  }
  const tasks = ours.filter(({ name }) => name === 'RunTask' || name === 'ThreadControllerImpl::RunTask');
  const ms = (value) => Math.round(value * 10) / 10;
  const sorted = [...frames].sort((a, b) => a - b);
  return {
    frames: ends.length,
    median: ms(sorted[Math.floor(sorted.length / 2)] ?? 0),
    worst: ms(sorted.at(-1) ?? 0),
    longest_task: ms(Math.max(0, ...tasks.map(taken))),
  };
}

const frame = (opened) => opened.evaluate(() => new Promise((done) => requestAnimationFrame(done)));

async function ofMesh(browser) {
  const { context, page: opened, complaints } = await page(browser);
  const answer = await opened.goto(mesh);
  await opened.locator('.view[data-live-view]').waitFor();
  const frameOf = opened.locator('.view .scroll');
  await frameOf.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await frameOf.boundingBox();
  const scale = () => opened.evaluate(() => new DOMMatrix(getComputedStyle(document.querySelector('svg.graph')).transform).m11);
  await opened.mouse.move(x + width / 2, y + Math.min(height, 400) / 2);
  const zoom = await traced(context, opened, async () => {
    await opened.keyboard.down('Control');
    for (let turn = 0; turn < 40; turn += 1) {
      await opened.mouse.wheel(0, turn < 20 ? -60 : 60);
      await frame(opened);
    }
    await opened.keyboard.up('Control');
  });
  const before = await scale();
  await opened.keyboard.down('Control');
  await opened.mouse.wheel(0, -100);
  await opened.keyboard.up('Control');
  await frame(opened);
  await frame(opened);
  const after = await scale();
  const pan = await traced(context, opened, async () => {
    await opened.mouse.down();
    for (let move = 1; move <= 40; move += 1) {
      await opened.mouse.move(x + width / 2 - move * 8, y + 200 + (move % 7));
      await frame(opened);
    }
    await opened.mouse.up();
  });
  const boxes = await opened.locator('svg.graph a.node').count();
  const edges = await opened.locator('svg.graph g.edge').count();
  await context.close();
  return { status: answer.status(), boxes, edges, isZoomed: after > before, zoom, pan, complaints };
}

async function ofTrace(browser) {
  const { context, page: opened, complaints } = await page(browser);
  const answer = await opened.goto(trace);
  const grid = opened.locator('.fall');
  await grid.waitFor();
  await grid.scrollIntoViewIfNeeded();
  const told = () =>
    opened.evaluate(() => {
      const grid = document.querySelector('.fall');
      const active = document.getElementById(grid.getAttribute('aria-activedescendant') ?? '');
      return { rows: Number(grid.getAttribute('aria-rowcount')) - 1, drawn: grid.querySelectorAll('.fall-body .fall-row').length, active: active?.getAttribute('aria-rowindex') ?? null };
    });
  const scroll = await traced(context, opened, async () => {
    const { x, y } = await grid.boundingBox();
    await opened.mouse.move(x + 100, y + 100);
    for (let turn = 0; turn < 60; turn += 1) {
      await opened.mouse.wheel(0, turn < 30 ? 900 : -700);
      await frame(opened);
    }
  });
  await grid.focus();
  await opened.keyboard.press('End');
  await frame(opened);
  const atEnd = await told();
  await opened.keyboard.press('Home');
  await opened.keyboard.press('ArrowLeft');
  await frame(opened);
  const closed = await told();
  await opened.keyboard.press('ArrowRight');
  const again = await told();
  await context.close();
  return { status: answer.status(), atEnd, closed, again, scroll, complaints };
}

told(async (browser) => ({ mesh: await ofMesh(browser), trace: await ofTrace(browser) }));
