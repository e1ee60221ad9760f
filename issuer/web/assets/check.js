// The code on a card's back, checked in this browser: its signature, and whether its number is on the list of those that count no more.
// The list comes whole, so no request names a card. Card specification, chapter 15; the list: issuer-production, ended_list.rs.

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** For how many days behind its own a list says that a number is not on it. */
export const LIST_DAYS = 3;

const ascii = (text) => new TextEncoder().encode(text);
const unhex = (text) => (/^([0-9a-f]{2})*$/.test(text) ? Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16)) : null);

function unbase32(text) {
  const bytes = [];
  let buffer = 0, bits = 0;
  for (const letter of text) {
    buffer = (buffer << 5) | BASE32.indexOf(letter);
    bits += 5;
    if (bits >= 8) { bits -= 8; bytes.push((buffer >> bits) & 255); }
    buffer &= (1 << bits) - 1;
  }
  // One spelling for one signature: the left-over bits are zero.
  return buffer === 0 ? Uint8Array.from(bytes) : null;
}

/** What a code says; null for a text that is none. What a scanner puts around it is not of the text. */
export function parse(text) {
  const plain = text.replace(/^\uFEFF/, '').replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, '');
  const found = /^YZT1:([0-9A-Z-]{1,32}):([0-9]{6}):([0-9]{4})([0-9]{2})([0-9]{2}):([A-Z2-7]{103})$/.exec(plain);
  if (!found) return null;
  const [, number, division, year, month, date, letters] = found;
  const day = `${year}-${month}-${date}`;
  const asDate = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(asDate.getTime()) || asDate.toISOString().slice(0, 10) !== day) return null;
  const signature = unbase32(letters);
  if (!signature || signature.length !== 64) return null;
  const signed = new Uint8Array([...ascii('YZT-CARD-BACK-1'), number.length, ...ascii(number + division + day)]);
  return { number, division, day, signature, signed };
}

async function isSigned(point, signature, bytes) {
  try {
    const key = await crypto.subtle.importKey('raw', point, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, bytes);
  } catch {
    return false;
  }
}

/** A list that the office signed; null for any other text. */
export async function readList(text, office) {
  const at = text.lastIndexOf('signature ');
  const signature = /^signature ([0-9a-f]{128})\n$/.exec(text.slice(Math.max(at, 0)));
  if (at < 0 || !signature || !(await isSigned(office, unhex(signature[1]), ascii(text.slice(0, at))))) return null;
  const lines = text.slice(0, at).split('\n');
  const [form, signer, day, count] = lines;
  const numbers = lines.slice(4, -1);
  const fields = [/^signer ([0-9a-f]{130})$/.exec(signer ?? ''), /^day ([0-9]{4}-[0-9]{2}-[0-9]{2})$/.exec(day ?? '')];
  if (form !== 'YZT-ENDED-1' || fields.includes(null) || count !== `count ${numbers.length}` || lines.at(-1) !== '') return null;
  return { signer: fields[0][1], day: fields[1][1], numbers: new Set(numbers) };
}

/** `valid`, `ended` or `unknown` (with why: `form`, `signature`, `list`), by both keys (hex), the list's text or null, and today. */
export async function judge(text, { signer, key, list, today }) {
  const code = parse(text);
  if (!code) return { verdict: 'unknown', why: 'form' };
  if (!(await isSigned(unhex(signer), code.signature, code.signed))) return { verdict: 'unknown', why: 'signature' };
  const read = list === null ? null : await readList(list, unhex(key));
  const said = { number: code.number, division: code.division, issued: code.day, list: read?.day };
  if (!read || read.signer !== signer) return { verdict: 'unknown', why: 'list', ...said };
  // On the list it counts no more, however old the list is.
  if (read.numbers.has(code.number)) return { verdict: 'ended', ...said };
  const age = (Date.parse(today) - Date.parse(read.day)) / 86_400_000;
  if (!(age >= -1 && age <= LIST_DAYS)) return { verdict: 'unknown', why: 'list', ...said };
  return { verdict: 'valid', ...said };
}

async function fetched(address) {
  try {
    const answer = await fetch(address, { cache: 'no-cache', credentials: 'omit' });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}

if (globalThis.document) {
  const form = document.querySelector('form[data-check]');
  const shown = document.getElementById('verdict');
  let checks = 0;
  const check = async () => {
    const { signer, key, list } = form.dataset;
    const mine = ++checks;
    // What was said of another code does not stand there while this one is looked at, and a late answer is of no use any more.
    shown.replaceChildren();
    // The day of the office as the page came, and what passed since: whatever this machine's clock says.
    const today = new Date(Date.parse(`${form.dataset.today}T00:00:00Z`) + performance.now()).toISOString().slice(0, 10);
    const found = await judge(form.elements.code.value, { signer, key, list: await fetched(list), today });
    if (mine !== checks) return;
    const name = found.verdict === 'unknown' ? `unknown-${found.why}` : found.verdict;
    shown.replaceChildren(document.getElementById(name).content.cloneNode(true));
    for (const place of shown.querySelectorAll('[data-says]')) place.textContent = found[place.dataset.says] ?? '';
    shown.focus();
  };
  form?.addEventListener('submit', (event) => { event.preventDefault(); check(); });
  if (form) {
    form.hidden = false;
    // An address may bring the code behind its '#', which no server sees.
    const brought = decodeURIComponent(location.hash.slice(1));
    if (brought.startsWith('YZT')) { form.elements.code.value = brought; check(); }
  }
}
