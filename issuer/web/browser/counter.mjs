// What every walk through the counter's pages shares: a browser that is driven by keyboard alone, a look at each page by axe-core and by
// the pages' own security policy, and pictures where a folder is given.
//
// Modules: playwright-core, axe-core, from the folder in which the walk is started. Browser: Debian's Chromium (or CHROMIUM).

import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** The longest that a card may take at the reader, milliseconds. */
export const AT_READER = 60_000;

export const expect = (truth, words, at) => {
  if (!truth) throw new Error(at ? `${words}; at ${at.url()}` : words);
};

/** Pages that lead on by themselves: nobody sees them. */
const PASSED = /^\/counter\/(cases\/…\/sign\/[a-z-]+|signed|signing-keys\/new)$/;

/** An address without what is of one case alone. */
const shape = (url) => new URL(url).pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…');

/** The top of every picture of a folder, small, on one sheet: `contact-sheet.jpg` in it. */
async function sheet(browser, pictures) {
  const cells = readdirSync(pictures).filter((name) => name.endsWith('.png')).sort().map((name) => {
    const data = readFileSync(`${pictures}/${name}`).toString('base64');
    return `<figure><img src="data:image/png;base64,${data}" alt=""><figcaption>${name.slice(0, -4)}</figcaption></figure>`;
  });
  const paper = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await paper.setContent(`<style>
    body { margin: 16px; display: grid; grid-template-columns: repeat(5, 1fr); gap: 12px; background: #dfe4ea; font: 13px sans-serif; }
    figure { margin: 0; } img { width: 100%; aspect-ratio: 1 / 1; object-fit: cover; object-position: top; border: 1px solid #98a2ae; background: #fff; }
  </style>${cells.join('')}`);
  await paper.screenshot({ path: `${pictures}/contact-sheet.jpg`, type: 'jpeg', quality: 60, fullPage: true });
}

/** A browser at the counter's pages. `pictures` is a folder, `camera` a file of moving pictures that a camera sees; or nothing. */
export async function open(counter, pictures, camera) {
  if (pictures) mkdirSync(pictures, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--no-first-run',
      ...(camera ? ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${camera}`] : [])],
  });
  const context = await browser.newContext({ locale: 'zh-CN', viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const violations = [];
  const [visited, looked] = [new Set(), new Set()];
  let keys = 0;
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) violations.push(`policy: ${message.text()}`);
  });
  page.on('pageerror', (error) => violations.push(`script: ${error}`));
  page.on('framenavigated', (frame) => {
    if (frame === page.mainFrame() && frame.url().startsWith('http')) visited.add(shape(frame.url()));
  });
  const debug = await context.newCDPSession(page);

  const clerk = {
    page,
    context,
    /** Types, and counts. */
    async type(text) {
      keys += [...text].length;
      await page.keyboard.insertText(text);
    },
    async press(key) {
      keys += 1;
      await page.keyboard.press(key);
    },
    /** In a field that chooses by what is typed. */
    async choose(text) {
      keys += [...text].length;
      await page.keyboard.type(text);
    },
    /** The key that stands on a button, with Alt. As the debugger sends it: playwright's own leaves out the letter that the key has. */
    async access(key) {
      keys += 1;
      const windowsVirtualKeyCode = key.toUpperCase().charCodeAt(0);
      await debug.send('Input.dispatchKeyEvent', { type: 'keyDown', modifiers: 1, key, text: key, unmodifiedText: key, windowsVirtualKeyCode });
      await debug.send('Input.dispatchKeyEvent', { type: 'keyUp', modifiers: 1, key, windowsVirtualKeyCode });
    },
    /** Presses what has the focus, or a key of a button, and waits for the page behind it. */
    async go(pressing, options) {
      await Promise.all([page.waitForNavigation(options), pressing]);
    },
    async enter(selector, options) {
      await page.focus(selector);
      await clerk.go(clerk.press('Enter'), options);
    },
    async tick(selector) {
      await page.focus(selector);
      await clerk.press('Space');
    },
    has: async (words) => (await page.textContent('body')).includes(words),
    counted: () => keys,
    countAgain: () => {
      keys = 0;
    },
    /** axe-core looks at the page as it stands; a picture is taken where they are wanted. */
    async look(name) {
      await page.waitForLoadState('load');
      if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
      // Not by `addScriptTag`: the page's own policy forbids it. The debugger may.
      const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
      looked.add(shape(page.url()));
      for (const violation of found.violations) {
        violations.push(`${name}: ${violation.id}: ${violation.nodes.map((node) => node.target).join(' ')}`);
      }
    },
    /** Signs a sample member of staff in by the key on the chooser: the first with this role who is none of those named. */
    async signIn(role, ...others) {
      await page.goto(`${counter}/sign-in`);
      const people = await page.$$eval('.chooser button', (buttons) =>
        buttons.map((button) => ({ account: button.value, roles: button.textContent, key: button.accessKey })));
      const person = people.find(({ account, roles }) => roles.includes(role) && !others.includes(account));
      expect(person?.key, `somebody is ${role}`, page);
      await Promise.all([page.waitForURL(/\/counter$/), clerk.access(person.key)]);
      expect(await clerk.has(person.account), `${person.account} is signed in`, page);
      return person.account;
    },
    /** Ends the browser; a page that axe-core did not look at is a violation too. */
    async close() {
      if (pictures) await sheet(browser, pictures);
      await browser.close();
      for (const address of visited) if (!looked.has(address) && !PASSED.test(address)) violations.push(`nobody looked at ${address}`);
      for (const violation of violations) console.error(violation);
      return violations.length;
    },
  };
  return clerk;
}
