// The text of a mandate, read: the same closed form as `issuer-mandate` in Rust takes, and nothing else. Deterministic CBOR (RFC 8949,
// section 4.2.1): shortest numbers, maps with small numbers as keys in their order, no length left open.

const LONGEST = 8 * 1024;
const TEXT = 256;
const ROLES = 8;
const LIFE = 30 * 24 * 60 * 60;

/** Bytes of hexadecimal digits; null for any other text. */
export const unhex = (text) => (/^([0-9a-f]{2})*$/.test(text) ? Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16)) : null);
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const refuse = () => { throw new Error('no mandate'); };

/** One item of CBOR from `at` on, and where it ends. */
function item(bytes, at) {
  const first = bytes[at] ?? refuse();
  const [major, info] = [first >> 5, first & 31];
  const size = [0, 1, 2, 4, 8][info < 24 ? 0 : info - 23] ?? refuse();
  let value = BigInt(info < 24 ? info : 0);
  for (let index = 1; index <= size; index += 1) value = (value << 8n) | BigInt(bytes[at + index] ?? refuse());
  // The shortest form, or none.
  if (size && value < [0n, 24n, 256n, 0n, 65536n, 0n, 0n, 0n, 4294967296n][size]) refuse();
  const behind = at + 1 + size;
  if (major === 0) return [value, behind];
  const count = value <= BigInt(LONGEST) ? Number(value) : refuse();
  if (major === 2 || major === 3) {
    if (behind + count > bytes.length) refuse();
    const part = bytes.slice(behind, behind + count);
    return [major === 2 ? part : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part), behind + count];
  }
  let next = behind;
  const take = () => {
    const [taken, after] = item(bytes, next);
    next = after;
    return taken;
  };
  if (major === 4) return [Array.from({ length: count }, take), next];
  if (major !== 5) refuse();
  const map = new Map();
  let before = -1n;
  for (let index = 0; index < count; index += 1) {
    const key = take();
    if (typeof key !== 'bigint' || key <= before) refuse();
    before = key;
    map.set(Number(key), take());
  }
  return [map, next];
}

const check = (truth, value) => (truth ? value : refuse());
const bytesOf = (size) => (value) => check(value instanceof Uint8Array && value.length === size, value);
const number = (value) => check(typeof value === 'bigint', value);
const upTo = (most) => (value) => check(typeof value === 'bigint' && value <= most, value);
const text = (value) => check(
  // eslint-disable-next-line no-control-regex
  typeof value === 'string' && new TextEncoder().encode(value).length <= TEXT && !/[\u0000-\u001f\u007f-\u009f]/.test(value), value);
const listOf = (shape) => (value) => check(Array.isArray(value) && value.length <= ROLES, value).map(shape);
/** A map with these keys; a name that ends with a question mark may be missing. */
const mapOf = (...fields) => (value) => {
  check(value instanceof Map);
  const found = {};
  let seen = 0;
  fields.forEach(([name, shape], index) => {
    const optional = name.endsWith('?');
    if (!value.has(index + 1)) return check(optional);
    seen += 1;
    found[optional ? name.slice(0, -1) : name] = shape(value.get(index + 1));
    return undefined;
  });
  return check(seen === value.size, found);
};

const U8 = upTo(255n);
const U32 = upTo(4294967295n);
const MANDATE = mapOf(
  ['vault', bytesOf(16)], ['kind', (value) => Number(check(typeof value === 'bigint' && value >= 1n && value <= 6n, value))], ['id', bytesOf(16)],
  ['case', mapOf(['id', bytesOf(16)], ['frozen', bytesOf(32)])],
  ['organ', (value) => check(typeof value === 'string' && /^[0-9]{6}$/.test(value), value)],
  ['content', mapOf(
    ['person', mapOf(...['name', 'sex', 'nation', 'born', 'number', 'hukou', 'residence', 'organ', 'issued'].map((name) => [name, text]))],
    ['portrait', bytesOf(32)],
    ['permit', mapOf(['id', bytesOf(16)], ...['tier', 'rules', 'from', 'to'].map((name) => [name, text]))],
    ['entitlements', listOf(mapOf(['role', text], ['class', U8], ['services', number], ['zones', number], ['cap', U32]))],
    ['loaded?', U32])],
  ['from', number], ['until', number], ['policy', bytesOf(32)]);

/** What a mandate says; throws for whatever is none. */
export function decode(bytes) {
  check(bytes instanceof Uint8Array && bytes.length <= LONGEST);
  const [value, end] = item(bytes, 0);
  check(end === bytes.length);
  const mandate = MANDATE(value);
  check(mandate.until >= mandate.from && mandate.until - mandate.from <= BigInt(LIFE));
  return mandate;
}

/** What is signed of it. */
export async function digest(bytes) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array([...new TextEncoder().encode('YZT-MANDATE-1'), ...bytes])));
}

const head = (major, length) => (length < 24 ? [(major << 5) | length] : length < 256 ? [(major << 5) | 24, length] : [(major << 5) | 25, length >> 8, length & 255]);
const bytesItem = (bytes) => [...head(2, bytes.length), ...bytes];

/** A signature as the counter takes it: its key and the authenticator's answer, in hexadecimal digits. */
export const given = (credential, client, authenticator, signature) => hex([
  0xa2, 1, ...bytesItem(credential), 2, 0xa1, 1, 0xa3, 1, ...bytesItem(client), 2, ...bytesItem(authenticator), 3, ...bytesItem(signature)]);
