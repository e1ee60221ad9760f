// A card is issued in a browser, by keyboard alone: from the sign-in of the intake clerk to the hand-over; then it gets another tier, is
// lost and replaced. Each page is held
// against axe-core and against the pages' own security policy, and pictured.
//
//   node walk.mjs --counter http://localhost:8440/counter --photo FILE --pictures FOLDER
//
// `permit up` runs there, and the person of --number has no application yet. Modules: playwright-core, axe-core. Browser: Debian's Chromium (or CHROMIUM).

import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const require = createRequire(`${process.cwd()}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const { values: given } = parseArgs({
  options: { counter: { type: 'string' }, photo: { type: 'string' }, pictures: { type: 'string' }, number: { type: 'string' } },
});
mkdirSync(given.pictures, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking', '--no-first-run'],
});
const context = await browser.newContext({ locale: 'zh-CN', viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
const violations = [];
let keys = 0;
page.on('console', (message) => {
  if (/Content Security Policy|Refused to/.test(message.text())) violations.push(`policy: ${message.text()}`);
});
page.on('pageerror', (error) => violations.push(`script: ${error}`));

/** Types by keyboard, and counts. */
const type = async (text) => {
  keys += [...text].length;
  await page.keyboard.insertText(text);
};
const press = async (key) => {
  keys += 1;
  await page.keyboard.press(key);
};
/** The key that stands on a button, with Alt. As the debugger sends it: playwright's own leaves out the letter that the key has. */
const debug = await context.newCDPSession(page);
const access = async (key) => {
  keys += 1;
  const windowsVirtualKeyCode = key.toUpperCase().charCodeAt(0);
  await debug.send('Input.dispatchKeyEvent', { type: 'keyDown', modifiers: 1, key, text: key, unmodifiedText: key, windowsVirtualKeyCode });
  await debug.send('Input.dispatchKeyEvent', { type: 'keyUp', modifiers: 1, key, windowsVirtualKeyCode });
};
const shot = async (name) => {
  await page.waitForLoadState('networkidle');
  await page.screenshot({ path: `${given.pictures}/${name}.png`, fullPage: true });
  // Not by `addScriptTag`: the page's own policy forbids it. The debugger may.
  const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
  for (const violation of found.violations) {
    violations.push(`${name}: ${violation.id}: ${violation.nodes.map((node) => node.target).join(' ')}`);
  }
};
const expect = (truth, words) => {
  if (!truth) throw new Error(`${words}; at ${page.url()}`);
};
const has = async (words) => (await page.textContent('body')).includes(words);
const signIn = async (key, account) => {
  await page.goto(`${given.counter}/sign-in`);
  await Promise.all([page.waitForURL(/\/counter$/), access(key)]);
  expect(await has(account), `${account} is signed in`);
};
const follow = async (selector) => {
  await page.focus(selector);
  await Promise.all([page.waitForNavigation(), press('Enter')]);
};

await page.goto(`${given.counter}/sign-in`);
await shot('sign-in');
await signIn('1', 'clerk.lin');
await shot('start-clerk');
await Promise.all([page.waitForURL(/intake$/), access('n')]);
expect(await page.evaluate(() => document.activeElement.id) === 'citizen_number', 'the first field has the focus');

// A slip first: everything is told at once, and nothing typed is lost.
await type('430102199006150027');
await access('s');
await page.waitForFunction(() => document.title.startsWith('有误：'));
expect(await page.evaluate(() => document.activeElement.hasAttribute('data-focus')), 'the focus is at what is wrong');
await shot('intake-errors');

const number = given.number ?? '11010519491231002X';
const born = `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`;
const typed = [
  ['citizen_number', number], ['name', '周敏'], ['sex', '2'], ['nation', '01'], ['birth_date', born],
  ['hukou_address', '湖南省长沙市芙蓉区五一大道88号'], ['residence.division', '440305'], ['residence.registered_on', '2026-02-01'],
  ['residence.address', '广东省深圳市南山区粤海街道科苑路15号2栋803'], ['insurance_months', '9'], ['education', '20'],
  ['title', ''], ['requested_tier', ''],
];
keys = 0;
await page.focus('#citizen_number');
for (const [id, text] of typed) {
  const field = await page.evaluate(() => [document.activeElement.id, document.activeElement.tagName]);
  expect(field[0] === id, `the next field is ${id} and not ${field[0]}`);
  if (field[1] === 'SELECT') {
    keys += [...text].length;
    await page.keyboard.type(text);
    expect(!text || (await page.evaluate(() => document.activeElement.value)) === text, `${text} is chosen for ${id}`);
  } else {
    await press('Control+A');
    await type(text);
  }
  await press('Tab');
}
for (const [code, from, to] of [['ADDR_LEASE', '2026-02-01', '2029-12-01'], ['JOB_CONTRACT', '2026-02-01', '2029-12-01'], ['ID_CARD', '2021-12-01', '2041-12-01']]) {
  await page.focus(`[id="${code}"]`);
  await press('Space');
  await press('Tab');
  await type(from);
  await press('Tab');
  await type(to);
}
expect(await has('号码有效'), 'the number was checked while it was typed');
await shot('intake');
await Promise.all([page.waitForURL(/cases/), access('s')]);
const intakeKeys = keys;
const filed = page.url();
const takePhoto = async () => {
  await page.goto(filed);
  await page.setInputFiles('#file', given.photo);
  await page.focus('.upload button');
  await Promise.all([page.waitForNavigation(), press('Enter')]);
  await page.goto(filed);
};
const confirmPhoto = async () => {
  const boxes = await page.$$('input[name=warning]');
  for (const box of boxes) {
    await box.focus();
    await press('Space');
  }
  if (!boxes.length) return;
  await page.focus('article.photo button');
  await Promise.all([page.waitForNavigation(), press('Enter')]);
  await page.goto(filed);
};
await takePhoto();
await shot('case-clerk');
await Promise.all([page.waitForURL(/slip$/), access('p')]);
await shot('slip');

await signIn('2', 'reviewer.chen');
await page.goto(`${given.counter}/lists/review`);
await shot('list-review');
await follow(`a[href="${new URL(filed).pathname}"]`);
await shot('case-reviewer');
await confirmPhoto();
await Promise.all([page.waitForNavigation(), access('s')]);
expect(await has('核定：'), 'decided');
await shot('case-decided');

await signIn('3', 'approver.huang');
await page.goto(filed);
await Promise.all([page.waitForNavigation(), access('s')]);
await signIn('4', 'producer.wu');
await page.goto(filed);
await Promise.all([page.waitForURL(/orders/), access('s')]);
const order = page.url();
await shot('order-begun');
// The page follows by itself.
await page.waitForFunction(() => document.body.textContent.includes('待发放'), null, { timeout: 60_000 });
await shot('order-made');

await signIn('5', 'counter.guo');
await page.goto(`${given.counter}/lists/hand-over`);
await follow(`a[href="${new URL(order).pathname}"]`);
await page.focus('input[value=holder]');
await press('Space');
await shot('hand-over');
await Promise.all([page.waitForNavigation({ timeout: 60_000 }), access('s')]);
expect(await has('已发放'), 'handed over');
await shot('handed-over');
await page.goto(filed);
await shot('case-done');

// The card in use: found by the citizen number for a purpose, another tier, lost, replaced.
await signIn('6', 'change.ma');
await Promise.all([page.waitForURL(/holders$/), access('f')]);
await type(number);
await page.focus('input[value=CHANGE]');
await press('Space');
await shot('holder-search');
await Promise.all([page.waitForURL(/permits/), access('s')]);
const holder = page.url();
await shot('holder');
// Nobody endorses on the first day: the page says why, and nothing is done.
await access('e');
await page.waitForSelector('.problem');
await shot('holder-too-early');
await page.goto(holder);
await page.selectOption('select[name=tier]', 'EMPLOYMENT');
await page.focus('form:has(select[name=tier]) button');
await Promise.all([page.waitForURL(/changes/), press('Enter')]);
const change = page.url();
await signIn('3', 'approver.huang');
await page.goto(change);
await shot('change-sign-off');
await Promise.all([page.waitForNavigation(), access('s')]);
await signIn('4', 'producer.wu');
await page.goto(change);
await Promise.all([page.waitForNavigation({ timeout: 60_000 }), access('s')]);
expect(await has('已完成'), 'the change is on the card');
await signIn('6', 'change.ma');
await page.goto(holder);
await page.focus('form:has(input[value=lost]) button');
await Promise.all([page.waitForNavigation(), press('Enter')]);
expect(await has('已列入拒绝名单'), 'the lost card is on the deny lists');
await Promise.all([page.waitForNavigation(), access('r')]);
await shot('holder-replaced');
await takePhoto();
await signIn('2', 'reviewer.chen');
await page.goto(filed);
await confirmPhoto();
await signIn('4', 'producer.wu');
await page.goto(filed);
await Promise.all([page.waitForURL(/orders/), access('s')]);
await page.waitForFunction(() => document.body.textContent.includes('待发放'), null, { timeout: 60_000 });
const second = page.url();
await signIn('5', 'counter.guo');
await page.goto(second);
await page.focus('input[value=holder]');
await press('Space');
await Promise.all([page.waitForNavigation({ timeout: 60_000 }), access('s')]);
expect(await has('已发放'), 'the second card is handed over');

// The other language, large letters, a narrow window.
await page.focus('button[name=language]');
await Promise.all([page.waitForNavigation(), press('Enter')]);
await page.focus('button[name=letters]');
await Promise.all([page.waitForNavigation(), press('Enter')]);
await page.goto(filed);
expect(await page.evaluate(() => document.documentElement.lang) === 'en', 'the page is English');
await shot('case-english-large');
await page.setViewportSize({ width: 480, height: 900 });
await shot('case-narrow');

await browser.close();
for (const violation of violations) console.error(violation);
console.log(`walk: a card issued, changed, lost and replaced, ${intakeKeys} keys at the intake, ${violations.length} violations`);
process.exit(violations.length ? 1 : 0);
