// The signing page: what it was given by navigation is shown in words, signed by an authenticator of this origin, and taken back to the
// counter by navigation. What does not decode, or whose photo is another one, is not signed.

import { decode, digest, given, hex, unhex } from './mandate.js';

const PATIENCE = 120_000;
const { counter, rehearsal } = document.body.dataset;
const at = (id) => document.getElementById(id);

const KINDS = [['制作新卡', 'A new card'], ['改写在用的卡', 'A card in use is written anew'], ['充值', 'Money is loaded'], ['解锁芯片', 'A chip is unblocked'], ['恢复使用', 'A card is allowed again'], ['终止居住证', 'A permit ends']];
const TIERS = { TEMP: ['临时居住证', 'temporary'], EMPLOYMENT: ['就业居住证', 'employment'], TALENT: ['人才居住证', 'talent'] };
const SERVICES = { TRANSIT: ['公交', 'transit'], SOCIAL_INSURANCE: ['社会保障', 'social insurance'], SMALL_PAYMENT: ['小额消费', 'small payment'], CLINIC: ['医疗服务', 'clinic'], DOOR: ['门禁', 'door'] };
const STEPS = { REVIEWER: ['审核', 'review'], APPROVER: ['审批', 'approval'] };
const SEX = { 1: '男 male', 2: '女 female' };

const words = (element, [chinese, english]) => {
  const beside = document.createElement('span');
  beside.lang = 'en';
  beside.textContent = english;
  element.replaceChildren(`${chinese} `, beside);
};
const tell = (chinese, english) => {
  words(at('told'), [chinese, english]);
  at('told').hidden = false;
  at('told').focus();
};
const row = (chinese, english, value) => {
  const [term, said] = [document.createElement('dt'), document.createElement('dd')];
  words(term, [chinese, english]);
  said.textContent = value;
  at('items').append(term, said);
};
const both = (table, word) => (table[word] ? table[word].join(' ') : word);
const minute = (seconds) => new Date((Number(seconds) + 8 * 3600) * 1000).toISOString().slice(0, 16).replace('T', ' ');
const bytesOf = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

function show(mandate) {
  const { person, permit, entitlements, loaded, portrait } = mandate.content;
  words(at('what'), KINDS[mandate.kind - 1]);
  row('姓名', 'Name', person.name);
  row('公民身份号码', 'Citizen number', person.number);
  row('性别', 'Sex', SEX[person.sex] ?? person.sex);
  row('民族（GB/T 3304）', 'Nation', person.nation);
  row('出生日期', 'Born', person.born);
  row('常住户口所在地', 'Permanent registration', person.hukou);
  row('居住地', 'Residence', person.residence);
  row('签发机关', 'Issuing organ', `${person.organ} (${mandate.organ})`);
  row('签发日期', 'Day of issue', person.issued);
  row('类别', 'Tier', both(TIERS, permit.tier));
  row('有效期限', 'Valid', `${permit.from} – ${permit.to}`);
  row('规则集', 'Rule set', permit.rules);
  for (const one of entitlements) {
    const cap = one.cap ? ` · 单笔 up to ¥${Number(one.cap) / 100}` : '';
    row('权益', 'Entitlement', `${both(SERVICES, one.role)} · ${one.class}/${one.services}/${one.zones}${cap}`);
  }
  if (loaded !== undefined) row('累计充值', 'Loaded in all', `¥${Number(loaded) / 100}`);
  row('居住证编号', 'Permit', hex(permit.id));
  row('案件', 'Case', hex(mandate.case.id));
  row('定稿摘要', 'Digest of the case', hex(mandate.case.frozen));
  row('照片摘要', 'Digest of the photo', hex(portrait));
  row('授权书有效', 'Holds', `${minute(mandate.from)} – ${minute(mandate.until)}`);
}

async function picture(text, wanted) {
  const bytes = bytesOf(text);
  const found = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  if (hex(found) !== hex(wanted)) throw new Error('another photo');
  at('portrait').src = URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' }));
  await at('portrait').decode();
  at('portrait').hidden = false;
}

/** Back to the counter, and to it alone. */
const back = (fields) => location.replace(`${counter}/counter/signed#${new URLSearchParams(fields)}`);

/** Asks, and says in words why there was no answer. */
async function asked(question) {
  try {
    return await question();
  } catch (error) {
    if (error?.name === 'InvalidStateError') tell('此身份验证器中已有登记过的签名密钥，请换一枚。', 'This authenticator has an enrolled signing key already: take another one.');
    else if (error?.name === 'NotAllowedError' || error?.name === 'AbortError') tell('没有得到身份验证器的答复：已取消、超过两分钟，或没有插上您的签名密钥。请再按一次。', 'No answer: it was cancelled, took more than two minutes, or your signing key is not plugged in. Press again.');
    else tell('无法签名：请检查身份验证器，再按一次。', 'It could not be signed: look at the authenticator and press again.');
    return null;
  }
}

async function signedBy(wanted, bytes) {
  if (rehearsal === 'yes') {
    const body = new URLSearchParams({ account: wanted.get('account'), role: wanted.get('role'), mandate: hex(bytes) });
    const answer = await fetch('rehearsal', { method: 'POST', body });
    if (!answer.ok) throw new Error('no key file');
    return answer.text();
  }
  const allowed = (wanted.get('keys') ?? '').split(',').map(unhex).filter((key) => key?.length);
  const { rawId, response } = await navigator.credentials.get({
    publicKey: {
      challenge: await digest(bytes), rpId: location.hostname, userVerification: 'required', timeout: PATIENCE,
      allowCredentials: allowed.map((id) => ({ type: 'public-key', id })),
    },
  });
  return given(new Uint8Array(rawId), new Uint8Array(response.clientDataJSON), new Uint8Array(response.authenticatorData), new Uint8Array(response.signature));
}

async function sign(wanted) {
  const bytes = unhex(wanted.get('mandate') ?? '');
  let mandate;
  try {
    mandate = decode(bytes);
  } catch {
    return tell('窗口送来的内容不是签发授权书，不能签。请返回并上报。', 'What the counter sent is no mandate and is not signed. Go back, and report it.');
  }
  show(mandate);
  try {
    await picture(wanted.get('portrait') ?? '', mandate.content.portrait);
  } catch {
    return tell('照片与授权书所载摘要不符，不能签。请返回并上报。', 'The photo is not the one that the mandate names, and it is not signed. Go back, and report it.');
  }
  return ready(STEPS[wanted.get('role')] ?? ['', ''], async () => {
    const signature = await asked(() => signedBy(wanted, bytes));
    if (signature) back({ to: wanted.get('to') ?? '', signature });
  });
}

function enrol(wanted) {
  words(at('what'), ['登记签名密钥', 'A signing key is enrolled']);
  row('人员', 'Person', wanted.get('account'));
  row('岗位', 'Role', both(STEPS, wanted.get('role')));
  row('机关', 'Organ', wanted.get('organ'));
  return ready(['登记密钥', 'make the key'], async () => {
    const { response } = (await asked(async () => navigator.credentials.create({
      publicKey: {
        challenge: bytesOf(wanted.get('enrol')), rp: { id: location.hostname, name: '一证通签名' },
        user: { id: bytesOf(wanted.get('handle')), name: wanted.get('account'), displayName: `${wanted.get('account')} ${both(STEPS, wanted.get('role'))}` },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }], attestation: 'none', timeout: PATIENCE,
        excludeCredentials: (wanted.get('keys') ?? '').split(',').map(unhex).filter((key) => key?.length).map((id) => ({ type: 'public-key', id })),
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
      },
    }))) ?? {};
    if (!response) return;
    back({
      to: 'signing-keys', account: wanted.get('account'), role: wanted.get('role'), organ: wanted.get('organ'),
      client_data: base64url(response.clientDataJSON), attestation: base64url(response.attestationObject),
    });
  });
}

function ready([chinese, english], press) {
  words(at('who'), [`${wanted.get('account')} · ${chinese}`, english]);
  at('rehearsal').hidden = rehearsal !== 'yes' || wanted.has('enrol');
  at('sign').hidden = false;
  let waits = false;
  at('sign').addEventListener('click', async () => {
    if (waits) return;
    waits = true;
    at('told').hidden = true;
    await press();
    waits = false;
  });
  at('what').focus();
}

// Nothing of a person stays in the address.
const wanted = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, '', location.pathname);
if (wanted.has('mandate')) await sign(wanted);
else if (wanted.has('enrol')) enrol(wanted);
