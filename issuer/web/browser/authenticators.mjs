// Authenticators in a browser, by keyboard alone: two are enrolled by a token, one signs in, a session ends in the middle of a form and
// nothing typed is lost, what is dangerous asks for a proof and goes on. Chromium's own virtual authenticators answer. Part of `make test`.
//
//   node authenticators.mjs --counter http://localhost:8440/counter --token TOKEN [--pictures FOLDER]
//
// An office that is no rehearsal serves there, and an intake clerk has the token. Whoever starts this moves the office's clock: it is
// asked by a line `later MINUTES`, and answers by a line.

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { expect, open } from './counter.mjs';

const { values: given } = parseArgs({
  options: { counter: { type: 'string' }, token: { type: 'string' }, pictures: { type: 'string' } },
});
const clerk = await open(given.counter, given.pictures);
const { page, type, press, access, go, enter, look, has } = clerk;

const lines = createInterface({ input: process.stdin });
const later = (minutes) => new Promise((resolve) => {
  lines.once('line', resolve);
  console.log(`later ${minutes}`);
});

const debug = await clerk.context.newCDPSession(page);
await debug.send('WebAuthn.enable');
const plugIn = async (isUserVerified) => {
  const { authenticatorId } = await debug.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'usb', hasResidentKey: true, hasUserVerification: true, isUserVerified,
      automaticPresenceSimulation: true,
    },
  });
  return authenticatorId;
};
const pullOut = (authenticatorId) => debug.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
const said = (what) => page.waitForSelector(`[data-say=${what}]:not([hidden])`);

// The address of digits is told before anything is tried.
await page.goto(given.counter.replace('localhost', '127.0.0.1') + '/sign-in');
await access('s');
await said('elsewhere');
await look('sign-in-elsewhere');

// The token opens the enrolment; an authenticator that verifies nobody is told in words.
await page.goto(`${given.counter}/sign-in`);
await look('sign-in-authenticator');
await page.focus('summary');
await press('Enter');
await page.focus('#token');
await type(given.token);
await Promise.all([page.waitForURL(/authenticators$/), press('Enter')]);
await look('enrol-first');
const unverified = await plugIn(false);
expect(await page.evaluate(() => document.activeElement.id === 'label'), 'the name has the focus', page);
await type('蓝色密钥');
await press('Enter');
await said('cancelled');
expect(await page.evaluate(() => document.activeElement.dataset.say === 'cancelled'), 'the focus is at what is wrong', page);
await look('enrol-cancelled');
await pullOut(unverified);

const first = await plugIn(true);
await go(access('s'));
expect(await has('现在登记第二枚'), 'the first is enrolled', page);
await type('还是蓝色密钥');
await press('Enter');
await said('known');
await pullOut(first);
await plugIn(true);
await Promise.all([page.waitForURL(/why=enrolled$/), access('s')]);
await look('enrolled');

// The button has the focus: one key, and the authenticator.
await Promise.all([page.waitForURL(/\/counter$/), press('Enter')]);
await look('signed-in');

// Half an hour without anybody, in the middle of a form.
await Promise.all([page.waitForURL(/intake$/), access('n')]);
await look('intake-begun');
await page.focus('#name');
await type('周敏');
await page.waitForFunction(() => document.querySelector('#draft').textContent.includes('草稿已保存'));
await later(31);
await go(access('s'));
expect(await has('没有办理'), 'it is said that nothing was done', page);
await look('session-ended');
await Promise.all([page.waitForURL(/sign-in\?next=/), access('s')]);
// The address of the sign-in names the page that comes next.
await Promise.all([page.waitForURL((at) => at.pathname === '/counter/intake'), press('Enter')]);
await Promise.all([page.waitForURL(/draft=/), access('g')]);
expect(await page.inputValue('#name') === '周敏', 'what was typed is there again', page);

// What is dangerous asks for a proof, and goes on with the form.
await page.goto(`${given.counter}/authenticators`);
await look('my-authenticators');
await later(6);
await enter('form[action*="/remove"] button');
expect(await has('请证明您本人在场'), 'a proof is asked for', page);
await look('prove');
await Promise.all([page.waitForURL(/why=removed$/), press('Enter')]);
await look('removed');

const violations = await clerk.close();
lines.close();
console.log(`authenticators: enrolled, used, proved, removed, ${violations} violations`);
process.exit(violations ? 1 : 0);
