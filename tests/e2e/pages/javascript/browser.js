// A Chromium that notes what a page should never do: complain on its console, break its content security policy, throw, ask
// for what is not there, or open a dialog.

const { chromium } = require('playwright-core');

// Where distributions put it.
const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';

// Milliseconds for a page: a debug build answers ten questions for one of them, beside whatever else a machine is doing.
const PATIENCE = 240_000;

const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

async function launch() {
  // As root there is no sandbox to be had, and the pages are our own.
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
}

// A page of a context of its own, and the list that its complaints go to. What the server answers with an error is a
// complaint too, but for the address itself where `expected` says so.
async function page(browser, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, locale: 'en-US', timezoneId: 'UTC', ...options });
  context.setDefaultTimeout(PATIENCE);
  const opened = await context.newPage();
  const complaints = [];
  const complain = (what) => complaints.push(`${new URL(opened.url(), 'http://nowhere').pathname}: ${what}`);
  opened.on('console', (message) => ['error', 'warning'].includes(message.type()) && complain(message.text()));
  opened.on('pageerror', (error) => complain(error.message));
  opened.on('dialog', async (dialog) => {
    complain(`a dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  opened.on('requestfailed', (request) => {
    // A page that is left takes its requests with it.
    const reason = request.failure()?.errorText;
    if (reason !== 'net::ERR_ABORTED') {
      complain(`${request.url()}: ${reason}`);
    }
  });
  opened.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== 'data:' && hostname !== '127.0.0.1') {
      complain(`asks ${request.url()}`);
    }
  });
  return { context, page: opened, complaints };
}

// Runs `main` over a browser and prints what it returns as JSON, whatever happens.
async function told(main) {
  const browser = await launch();
  try {
    process.stdout.write(JSON.stringify(await main(browser)));
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

module.exports = { page, told, WIDE, PHONE };
