// What the pages promise beside the issue of a card: a form survives its session, its browser and a second window; every element in every
// state, in both languages, large, in high contrast, narrow and on paper.

import { expect } from './counter.mjs';

/** What is typed is there again: by the clerk's own pages alone, in a fresh browser, and never over what another window has. */
export async function drafts({ page, context, type, press, access, look, signIn, has }, { counter }) {
  const kept = () => page.waitForFunction(() => document.querySelector('#draft')?.textContent.includes('草稿已保存'));
  await signIn('受理人');
  await page.goto(`${counter}/intake`);
  await page.focus('#name');
  await type('王小草');
  await press('Tab');
  await kept();
  // The session ends under the form: the page says so, and nothing that was kept is lost.
  const cookies = await context.cookies();
  await context.clearCookies();
  await page.focus('#hukou_address');
  await type('湖南省长沙市');
  await press('Tab');
  await page.waitForFunction(() => document.querySelector('#draft')?.textContent.includes('登录已失效'));
  await context.addCookies(cookies);
  // The line is gone: the page says so, and keeps it by itself when the line is back.
  await context.setOffline(true);
  await page.focus('#hukou_address');
  await type('岳麓区');
  await press('Tab');
  await page.waitForFunction(() => document.querySelector('#draft')?.textContent.includes('没有保存'));
  await context.setOffline(false);
  await kept();
  await page.goto(`${counter}/intake`);
  expect(await has('王小草'), 'the draft is in the list', page);
  await look('intake-drafts');
  await Promise.all([page.waitForURL(/draft=/), access('g')]);
  expect(await page.inputValue('#name') === '王小草', 'what was typed is there again', page);
  const address = page.url();
  // Two windows: the second is told what differs and writes over nothing.
  const other = await context.newPage();
  await other.goto(address);
  const version = await other.inputValue('#draft [name=draft]');
  await other.fill('#name', '王小苗');
  await other.press('#name', 'Tab');
  await other.waitForFunction((before) => document.querySelector('#draft [name=draft]')?.value > before, version);
  await other.close();
  await page.bringToFront();
  await page.focus('#insurance_months');
  await type('7');
  await press('Tab');
  await page.waitForSelector('#draft .problem');
  expect(await page.textContent('#draft .problem').then((text) => text.includes('姓名') && text.includes('社会保险月数')), 'what differs is told', page);
  await look('intake-two-windows');
  await Promise.all([page.waitForURL(/draft=/), page.click('#draft .problem a')]);
  expect(await page.inputValue('#name') === '王小苗', 'the other window\'s is there', page);
  await page.goto(`${counter}/intake`);
  await Promise.all([page.waitForNavigation(), page.click('.drafts button')]);
  expect(!(await has('王小苗')), 'a draft that is deleted is gone', page);
}

/** Every element, in every way to see it. */
export async function kit({ page, enter, look, signIn }, { counter }) {
  await signIn('审核人');
  await page.goto(`${counter}/kit`);
  await look('kit');
  await page.emulateMedia({ media: 'print' });
  await look('kit-print');
  await page.emulateMedia({ media: 'screen', forcedColors: 'active' });
  await look('kit-forced-colors');
  await page.emulateMedia({ forcedColors: 'none', contrast: 'more' });
  await look('kit-prefers-contrast');
  await page.emulateMedia({ contrast: null });
  await enter('button[name=contrast]');
  await look('kit-contrast');
  await enter('button[name=letters]');
  await page.setViewportSize({ width: 480, height: 900 });
  await look('kit-large-narrow');
  await enter('button[name=language]');
  await look('kit-english-large-narrow');
  await page.setViewportSize({ width: 1280, height: 900 });
  await enter('button[name=letters]');
  await enter('button[name=contrast]');
  await look('kit-english');
  await enter('button[name=language]');
  expect((await page.getAttribute('html', 'lang')) === 'zh-CN', 'the page is Chinese again', page);
}
