// The pages of whoever answers for the office, of a holder at home, and of hours without the line, in a browser: each is looked at by axe-core
// and by its own security policy, on a desk and on a telephone; a card's code is checked, and no request names its number.
//
//   node chief.mjs --counter http://localhost:8440/counter --code TEXT --number NUMBER --slip ADDRESS [--pictures FOLDER]
//
// TEXT is the code of the card NUMBER, which is in use; ADDRESS the slip's page of its case.

import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { expect, open } from './counter.mjs';

/** What `/check` says of a code, and the addresses that it asked for meanwhile. */
async function checked({ page }, code) {
  const asked = [];
  const listener = (request) => asked.push(`${request.url()} ${request.postData() ?? ''}`);
  page.on('request', listener);
  await page.fill('#code', code);
  await page.click('form[data-check] button');
  await page.waitForFunction(() => document.querySelector('#verdict .stage'));
  page.off('request', listener);
  return { said: await page.textContent('#verdict'), asked };
}

export async function walk(clerk, { counter, code, number, slip }) {
  const { page, access, go, enter, look, has, signIn } = clerk;
  const site = counter.replace(/\/counter$/, '');

  await page.goto(`${counter}/sign-in`);
  await look('sign-in');
  await signIn('负责人');
  await look('home-chief');
  await go(access('o'));
  expect(await page.$('svg.plot'), 'the overview has plots', page);
  await look('dashboard');
  await go(access('t'));
  await look('terminals');
  await page.focus('input[name=to]');
  await go(clerk.press('Enter'));
  await look('terminals-counted');
  await go(access('k'));
  await look('doctor');
  await page.goto(`${counter}/evaluations`);
  await look('evaluations');
  await go(access('d'));
  await look('day');
  await go(access('s'));
  expect(/\/days\//.test(page.url()), 'the day is closed by a key', page);
  await look('day-closed');

  await signIn('受理人');
  await page.goto(`${counter}/paper`);
  await look('paper');
  await page.fill('input[name=count]', '1');
  await enter('form[method=post][action^="/counter/paper?"] button');
  await look('paper-sheets');
  await page.goto(`${counter}/paper`);
  await enter('table a[href^="/counter/paper/"]');
  expect(await has('单上的受理日期'), 'a form of paper is typed', page);
  await look('paper-typed');

  await page.goto(slip);
  await look('slip');
  const [receipt, secret] = await page.$$eval('.look-up .big', (places) => places.map((place) => place.textContent));

  // At home, on a telephone.
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${site}/status?receipt=${receipt.replaceAll(' ', '')}`);
  await look('status');
  await page.fill('#code', secret);
  await enter('form[action="/status"] button');
  expect(await has('已领取'), 'the holder sees where the case stands', page);
  await look('status-found');
  await page.check('input[name=score][value="5"]');
  await enter('form[action="/status/evaluate"] button');
  expect(await has('感谢您的评价'), 'the service is evaluated', page);
  await look('status-evaluated');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  expect(!wide, 'nothing is wider than a telephone', page);

  await page.goto(`${site}/check`);
  await look('check');
  const genuine = await checked(clerk, ` ${code}\n`);
  expect(genuine.said.includes('✓ 有效') && genuine.said.includes(number), `a genuine code is valid: ${genuine.said}`, page);
  expect(!genuine.asked.some((request) => request.includes(number)), `no request names the card: ${genuine.asked}`, page);
  expect(genuine.asked.length === 1 && genuine.asked[0].startsWith(`${site}/check/ended`), `the list is fetched whole: ${genuine.asked}`, page);
  await look('check-valid');
  const forged = await checked(clerk, code.replace(/:(\d{8}):/, ':20200101:'));
  expect(forged.said.includes('? 无法确认'), `a forged code is not: ${forged.said}`, page);
  await look('check-unknown');
  await page.goto(`${site}/check?lang=en#${encodeURIComponent(code)}`);
  await page.waitForFunction(() => document.querySelector('#verdict .stage'));
  expect((await page.textContent('#verdict')).includes('✓ Valid'), 'a code behind the address is checked', page);
  await look('check-english');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const text = { type: 'string' };
  const { values } = parseArgs({ options: { counter: text, code: text, number: text, slip: text, pictures: text } });
  const clerk = await open(values.counter, values.pictures);
  await walk(clerk, values);
  process.exit((await clerk.close()) ? 1 : 0);
}
