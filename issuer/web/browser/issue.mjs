// A card is issued in a browser by keyboard alone, from the sign-in of the intake clerk to the hand-over; then what the pages promise beside
// it. Part of `make test`.
//
//   node issue.mjs --counter http://localhost:8440/counter --photo FILE [--camera FILE.mjpeg] [--pictures FOLDER] [--number NUMBER]
//
// The person of --number has no application yet, and a blank lies on the reader.

import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { AT_READER, expect, open } from './counter.mjs';
import { drafts, kit } from './pages.mjs';

export const NUMBER = '11010519491231002X';

/** The photo of the case at `filed`; a file is chosen, for want of a camera. */
export async function takePhoto({ page, enter }, filed, photo) {
  await page.goto(filed);
  await page.setInputFiles('#file', photo);
  await enter('#photo .upload button');
  await page.goto(filed);
}

/** The photo of the case at `filed`, by the camera: a hint is given, a still is taken and submitted as a file is. */
export async function takeByCamera({ page, access, go, press, look }, filed) {
  await page.goto(`${filed}/camera`);
  await page.waitForFunction(() => document.querySelector('[data-camera]:not([hidden])')?.dataset.ready);
  await look('camera');
  await access('s');
  await page.waitForFunction(() => document.querySelector('.camera.taken') && document.querySelector('#file').files.length === 1);
  await look('camera-taken');
  await go(press('Enter'));
  expect(await page.$('article.photo'), 'the photo is taken', page);
}

/** Ticks every warning of the photo, and confirms it. */
export async function confirmPhoto({ page, tick, enter }, filed) {
  const warnings = await page.$$eval('input[name=warning]', (boxes) => boxes.map((box) => box.value));
  for (const warning of warnings) await tick(`input[name=warning][value="${warning}"]`);
  if (!warnings.length) return;
  await enter('article.photo button');
  await page.goto(filed);
}

/** Intake ends, by somebody who takes applications: what is decided on is frozen. */
export async function completeIntake({ page, access, enter, go, has, look, signIn }, filed, counter, ...others) {
  const by = await signIn('受理人', ...others);
  await page.goto(`${counter}/lists/complete`);
  await look('list-complete');
  await enter(`a[href="${new URL(filed).pathname}"]`);
  await go(access('s'));
  expect(await has('定稿内容'), 'what is decided on is frozen', page);
  return by;
}

/** On to the signing page by the key of the step, what it shows is signed there by its key, and back. */
export async function sign({ page, access, look, has }, name, picture) {
  await Promise.all([page.waitForURL(/sign\.localhost/), access('s')]);
  await page.waitForSelector('#sign:not([hidden])');
  expect(page.url().endsWith('/'), 'nothing of a person stays in the address', page);
  expect(await has(name), 'the signing page shows whose card it is', page);
  if (picture) await look(picture);
  await Promise.all([page.waitForURL(/counter\/cases\//), access('s')]);
}

/** Where a person makes the card and no worker does, the producer presses; then it is waited for. */
export async function made({ page, access, has }) {
  if (await has('请把空白卡')) await access('s');
  // The page follows by itself.
  await page.waitForFunction(() => document.querySelector('.identity .state')?.textContent === '待发放', null, { timeout: AT_READER });
}

/** The form of the intake, field by field as the tabulator leads; it says how many keys were pressed. */
async function intake(clerk, number) {
  const { page, type, press, access, choose, tick } = clerk;
  const born = `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`;
  const typed = [
    ['citizen_number', number], ['name', '周敏'], ['sex', '2'], ['nation', '01'], ['birth_date', born],
    ['hukou_address', '湖南省长沙市芙蓉区五一大道88号'], ['residence.division', '440305'], ['residence.registered_on', '2026-02-01'],
    ['residence.address', '广东省深圳市南山区粤海街道科苑路15号2栋803'], ['insurance_months', '9'], ['education', '20'],
    ['title', ''], ['requested_tier', ''],
  ];
  clerk.countAgain();
  await page.focus('#citizen_number');
  for (const [id, text] of typed) {
    const [has, kind] = await page.evaluate(() => [document.activeElement.id, document.activeElement.tagName]);
    expect(has === id, `the next field is ${id} and not ${has}`, page);
    if (kind === 'SELECT') {
      await choose(text);
      expect(!text || (await page.evaluate(() => document.activeElement.value)) === text, `${text} is chosen for ${id}`, page);
    } else {
      await press('Control+A');
      await type(text);
    }
    await press('Tab');
  }
  for (const [code, from, to] of [['ADDR_LEASE', '2026-02-01', '2029-12-01'], ['JOB_CONTRACT', '2026-02-01', '2029-12-01'], ['ID_CARD', '2021-12-01', '2041-12-01']]) {
    await tick(`[id="${code}"]`);
    await press('Tab');
    await type(from);
    await press('Tab');
    await type(to);
  }
  await page.waitForFunction(() => document.body.textContent.includes('号码有效'));
  await clerk.look('intake');
  await Promise.all([page.waitForURL(/cases/), access('s')]);
  return clerk.counted();
}

/** The whole issue of a card. */
export async function issue(clerk, { counter, photo, camera, number = NUMBER }) {
  const { page, type, access, go, enter, tick, look, signIn, has } = clerk;
  await page.goto(`${counter}/sign-in`);
  await look('sign-in');
  const taker = await signIn('受理人');
  await look('start-clerk');
  await Promise.all([page.waitForURL(/intake$/), access('n')]);
  expect(await page.evaluate(() => document.activeElement.id === 'citizen_number'), 'the first field has the focus', page);
  // A slip first: everything is told at once, and nothing typed is lost.
  await type('430102199006150027');
  await access('s');
  await page.waitForFunction(() => document.title.startsWith('有误：'));
  expect(await page.evaluate(() => document.activeElement.hasAttribute('data-focus')), 'the focus is at what is wrong', page);
  await look('intake-errors');
  const keys = await intake(clerk, number);
  const filed = page.url();
  if (camera) await takeByCamera(clerk, filed);
  else await takePhoto(clerk, filed, photo);
  await look('case-clerk');
  await Promise.all([page.waitForURL(/slip$/), access('p')]);
  await look('slip');

  const colleague = await signIn('审核人', taker);
  await page.goto(filed);
  await look('case-photo');
  await confirmPhoto(clerk, filed);
  const completer = await completeIntake(clerk, filed, counter, colleague);

  const reviewer = await signIn('审核人', taker, completer);
  await page.goto(`${counter}/lists/review`);
  await look('list-review');
  await enter(`a[href="${new URL(filed).pathname}"]`);
  await look('case-reviewer');
  await sign(clerk, '周敏', 'signing-page');
  expect(await has('核定：'), 'decided', page);
  await look('case-decided');

  const approver = await signIn('审批人', taker, completer, reviewer);
  await page.goto(filed);
  await look('case-approver');
  await sign(clerk, '周敏');
  const producer = await signIn('制证人', taker, reviewer, approver);
  await page.goto(filed);
  await Promise.all([page.waitForURL(/orders/), access('s')]);
  const order = page.url();
  await look('order-begun');
  await made(clerk);
  await look('order-made');

  await signIn('发证人', producer);
  await page.goto(`${counter}/lists/hand-over`);
  await look('list-hand-over');
  await enter(`a[href="${new URL(order).pathname}"]`);
  await tick('input[value=holder]');
  await look('hand-over');
  await go(access('s'), { timeout: AT_READER });
  expect(await has('已发放'), 'handed over', page);
  await look('handed-over');
  await page.goto(filed);
  await look('case-done');
  return { filed, keys, people: { taker, reviewer, approver, producer } };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values: given } = parseArgs({
    options: { counter: { type: 'string' }, photo: { type: 'string' }, camera: { type: 'string' }, pictures: { type: 'string' }, number: { type: 'string' } },
  });
  const clerk = await open(given.counter, given.pictures, given.camera);
  const { keys } = await issue(clerk, given);
  await drafts(clerk, given);
  await kit(clerk, given);
  const violations = await clerk.close();
  console.log(`issue: a card in its holder's hand, ${keys} keys at the intake, ${violations} violations`);
  process.exit(violations ? 1 : 0);
}
