// The longer walk of `make e2e`: a card is issued, gets another tier, is lost and replaced, by keyboard alone; the other language, large
// letters, high contrast, a narrow window, paper; every element on the page that shows them all. Every page is pictured.
//
//   node walk.mjs --counter http://localhost:8440/counter --photo FILE --pictures FOLDER
//
// `permit up` runs there, and the person of --number has no application yet.

import { parseArgs } from 'node:util';

import { AT_READER, expect, open } from './counter.mjs';
import { NUMBER, completeIntake, confirmPhoto, issue, made, sign, takePhoto } from './issue.mjs';
import { drafts, kit } from './pages.mjs';

const { values: given } = parseArgs({
  options: { counter: { type: 'string' }, photo: { type: 'string' }, pictures: { type: 'string' }, number: { type: 'string' } },
});
const clerk = await open(given.counter, given.pictures);
const { page, type, access, go, enter, tick, look, signIn, has } = clerk;
const { filed, keys, people } = await issue(clerk, given);

// The card in use: found by the citizen number for a purpose, another tier, lost, replaced.
const changer = await signIn('变更经办人');
await Promise.all([page.waitForURL(/holders$/), access('f')]);
await type(given.number ?? NUMBER);
await tick('input[value=CHANGE]');
await look('holder-search');
await Promise.all([page.waitForURL(/permits/), access('s')]);
const holder = page.url();
await look('holder');
// Nobody endorses on the first day: the page says why, and nothing is done.
await Promise.all([page.waitForURL(/facts.endorse/), access('e')]);
await look('holder-facts');
await access('s');
await page.waitForSelector('.problem');
await look('holder-too-early');
await page.goto(holder);
await page.selectOption('select[name=tier]', 'EMPLOYMENT');
await page.focus('form:has(select[name=tier]) button');
await Promise.all([page.waitForURL(/changes/), clerk.press('Enter')]);
const change = page.url();
await signIn('审批人', changer);
await page.goto(change);
await look('change-sign-off');
await go(access('s'));
await signIn('制证人', people.approver);
await page.goto(change);
await go(access('s'), { timeout: AT_READER });
expect(await has('已完成'), 'the change is on the card', page);
await signIn('变更经办人');
await page.goto(holder);
await page.focus('summary:has(+ form input[value=lost])');
await clerk.press('Enter');
await tick('input[value=HOLDER]');
await go(access('l'));
expect(await has('已列入拒绝名单'), 'the lost card is on the deny lists', page);
await go(access('r'));
await look('holder-replaced');
await takePhoto(clerk, filed, given.photo);
await signIn('审核人', people.taker);
await page.goto(filed);
await confirmPhoto(clerk, filed);
// The next card is completed, reviewed and signed off like the first one.
const completer = await completeIntake(clerk, filed, given.counter, people.reviewer);
const reviewer = await signIn('审核人', people.taker, completer);
await page.goto(filed);
await sign(clerk, '周敏');
const approver = await signIn('审批人', people.taker, completer, reviewer);
await page.goto(filed);
await sign(clerk, '周敏');
const producer = await signIn('制证人', reviewer, approver);
await page.goto(filed);
await Promise.all([page.waitForURL(/orders/), access('s')]);
await made(clerk);
const second = page.url();
await signIn('发证人', producer);
await page.goto(second);
await tick('input[value=holder]');
await tick('input[value=absent]');
await go(access('s'), { timeout: AT_READER });
expect(await has('已发放'), 'the second card is handed over', page);

await drafts(clerk, given);
await kit(clerk, given);

// The other language, large letters, a narrow window.
await signIn('受理人');
await enter('button[name=language]');
await enter('button[name=letters]');
await page.goto(filed);
expect(await page.evaluate(() => document.documentElement.lang === 'en'), 'the page is English', page);
await look('case-english-large');
await page.setViewportSize({ width: 480, height: 900 });
await look('case-narrow');

const violations = await clerk.close();
console.log(`walk: a card issued, changed, lost and replaced, ${keys} keys at the intake, ${violations} violations`);
process.exit(violations ? 1 : 0);
