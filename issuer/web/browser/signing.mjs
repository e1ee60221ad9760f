// Signing with an authenticator, and what a hostile counter cannot get. Two administrators enrol a reviewer's key on the signing page, the
// reviewer signs with it; then pages of the counter's origin ask for a signature over something else, and get none. Chromium's own virtual
// authenticator answers. Part of `make test`.
//
//   node signing.mjs --counter http://localhost:8440/counter --signing http://sign.localhost:8441 --first ADDRESS --second ADDRESS
//
// A rehearsal serves there with a signing page that is none: it asks authenticators. Both cases wait for their review.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { expect, open } from './counter.mjs';

const { values: given } = parseArgs({
  options: { counter: { type: 'string' }, signing: { type: 'string' }, first: { type: 'string' }, second: { type: 'string' }, pictures: { type: 'string' } },
});
// The page's own reader takes the committed sample, and no text of it that is cut, longer, or written in another way.
const near = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const { decode, unhex } = await import(`data:text/javascript,${encodeURIComponent(near('../../signing/assets/mandate.js'))}`);
const sample = unhex(/^mandate ([0-9a-f]+)$/m.exec(near('../../mandate/tests/mandate.txt'))[1]);
expect(decode(sample).content.person.name === '李娜', 'the sample is read');
const others = [[...sample, 0], [0xbf, ...sample.slice(1), 0xff], [0xa9, 0x18, 1, ...sample.slice(2)], [0xaa, ...sample.slice(1), 9, 0x58, 0x20, ...new Uint8Array(32)]];
for (let end = 0; end < sample.length; end += 1) others.push(sample.slice(0, end));
for (const other of others) {
  let read = null;
  try { read = decode(Uint8Array.from(other)); } catch { /* refused */ }
  expect(read === null, `a text of ${other.length} bytes is none`);
}

const clerk = await open(given.counter, given.pictures);
const { page, type, access, go, enter, look, has } = clerk;
const debug = await clerk.context.newCDPSession(page);
await debug.send('WebAuthn.enable');
await debug.send('WebAuthn.addVirtualAuthenticator', {
  options: { protocol: 'ctap2', transport: 'usb', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
const signIn = async (account) => {
  await page.goto(`${given.counter}/sign-in`);
  await enter(`.chooser button[value="${account}"]`);
};

// The first administrator proposes the key that the reviewer's authenticator makes on the signing page.
await signIn('xu');
await look('start-administrator');
await Promise.all([page.waitForURL(/signing-keys$/), access('g')]);
await look('signing-keys');
await page.selectOption('#signer', 'wang REVIEWER');
await page.focus('#organ');
await type('440300');
await Promise.all([page.waitForURL(/sign\.localhost/), access('s')]);
await page.waitForSelector('#sign:not([hidden])');
expect(await has('wang') && await has('440300'), 'for whom the key is', page);
await look('signing-page-enrol');
await Promise.all([page.waitForURL(/counter\/signing-keys$/), access('s')]);
expect(await has('待另一名管理员确认'), 'the first confirms nothing', page);
await signIn('zhou');
await page.goto(`${given.counter}/signing-keys`);
await look('signing-keys-confirm');
await enter('form[action*="/signing-keys/confirm"] button');
expect(!(await has('核对无误，确认')), 'the second confirmed it', page);

// What the counter shows is what the signing page shows, and what is signed.
await signIn('wang');
await page.goto(given.counter.replace('/counter', given.second));
const second = await page.textContent('.identity h1');
await page.goto(given.counter.replace('/counter', given.first));
const first = await page.textContent('.identity h1');
await look('case-to-sign');
await page.goto(`${given.counter}/sign-in`);
await look('sign-in-chooser');
expect(first !== second, 'two people', page);

/** The way to the signing page as the counter makes it for a case, without going there. */
const way = async (address) => page.evaluate(async (at) => {
  const text = await (await fetch(`${at}/sign/review`)).text();
  return new DOMParser().parseFromString(text, 'text/html').getElementById('to-sign').href;
}, address);
const [wayFirst, waySecond] = [await way(given.first), await way(given.second)];
const fields = (link) => new URLSearchParams(link.split('#')[1]);
const hostile = async (change) => {
  const asked = fields(wayFirst);
  change(asked);
  // Away first: a new fragment alone is no navigation.
  await page.goto('about:blank');
  await page.goto(`${given.signing}/#${asked}`);
  await page.waitForFunction(() => !document.querySelector('#sign').hidden || !document.querySelector('#told').hidden);
};
const refuses = async (words) => {
  expect(await page.isHidden('#sign'), 'there is no button to sign', page);
  expect(await has(words), words, page);
};

// Another person's mandate and photo under the first one's case: the page shows the true ones.
await hostile((asked) => { for (const part of ['mandate', 'portrait']) asked.set(part, fields(waySecond).get(part)); });
expect(await has(second) && !(await has(first)), 'the other person is shown', page);
// Signed in spite of that, it comes back as a signature of something else, and nothing is reviewed.
await Promise.all([page.waitForURL(/counter\/cases\/[0-9a-f-]+\/review$/), access('s')]);
expect(await has('SIGNED_ANOTHER') || await has('所签的不是此案的签发授权书'), 'a signature over another mandate is none', page);
await look('signed-another');
// The first one's mandate beside another photo; a digest; a text with a byte more, or in another form of the same.
await hostile((asked) => asked.set('portrait', `${asked.get('portrait').slice(0, -8)}AAAAAAAA`));
await refuses('照片与授权书所载摘要不符');
await look('signing-page-refuses');
await hostile((asked) => asked.set('mandate', 'ab'.repeat(32)));
await refuses('不是签发授权书');
await hostile((asked) => asked.set('mandate', `${asked.get('mandate')}00`));
await refuses('不是签发授权书');
await hostile((asked) => asked.set('mandate', asked.get('mandate').replace(/^a901/, 'a91801')));
await refuses('不是签发授权书');

// No page of the counter's origin gets an answer of the signing page's authenticators.
await page.goto(given.counter);
const stolen = await page.evaluate(async (rpId) => {
  try {
    await navigator.credentials.get({ publicKey: { challenge: new Uint8Array(32), rpId, userVerification: 'required', allowCredentials: [] } });
    return 'an assertion';
  } catch (error) {
    return error.name;
  }
}, new URL(given.signing).hostname);
expect(stolen === 'SecurityError', `the counter's origin got ${stolen}`, page);

// And what the page shows of the right case is signed and taken.
await page.goto(given.counter.replace('/counter', given.first));
await Promise.all([page.waitForURL(/sign\.localhost/), access('s')]);
await page.waitForSelector('#sign:not([hidden])');
expect(await has(first), 'whose card it is', page);
await look('signing-page');
await Promise.all([page.waitForURL(/counter\/cases\/[0-9a-f-]+$/), access('s')]);
expect(await has('核定：'), 'reviewed', page);

const violations = await clerk.close();
console.log(`signing: a key enrolled by two, a mandate signed, ${violations} violations`);
process.exit(violations ? 1 : 0);
