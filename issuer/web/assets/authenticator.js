// Authenticators (W3C Web Authentication): a form that waits for one is sent when it has answered. Whatever goes wrong is said in the
// page's own words, which are there already.

const decoded = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
const encoded = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const PATIENCE = 120_000;

// Why a browser has no answer. It tells a cancelled and an unanswered question by the same name: only the time tells them apart.
const reason = (error, began) => {
  switch (error?.name) {
    case 'NotAllowedError': return Date.now() - began >= PATIENCE - 1_000 ? 'late' : 'cancelled';
    case 'AbortError': return 'cancelled';
    case 'SecurityError': return 'elsewhere';
    case 'InvalidStateError': return 'known';
    case 'NotSupportedError':
    case 'ConstraintError': return 'unfit';
    default: return 'failed';
  }
};

for (const asked of document.querySelectorAll('[data-challenge]')) {
  const form = asked.closest('form');
  const { challenge, party, origin, allowed, handle, account } = asked.dataset;
  const keys = allowed.split(' ').filter(Boolean).map((id) => ({ type: 'public-key', id: decoded(id) }));
  const say = (what) => {
    for (const words of asked.querySelectorAll('[data-say]')) words.hidden = words.dataset.say !== what;
    asked.querySelector(`[data-say="${what}"]`)?.focus();
  };
  const put = (part, buffer) => { asked.querySelector(`[data-part="${part}"]`).value = encoded(buffer); };

  const answer = async () => {
    const common = { challenge: decoded(challenge), timeout: PATIENCE };
    if (!handle) {
      const { rawId, response } = await navigator.credentials.get({
        publicKey: { ...common, rpId: party, allowCredentials: keys, userVerification: 'required' },
      });
      put('credential', rawId);
      put('client_data', response.clientDataJSON);
      put('authenticator_data', response.authenticatorData);
      put('signature', response.signature);
      return;
    }
    const { response } = await navigator.credentials.create({
      publicKey: {
        ...common,
        rp: { id: party, name: asked.dataset.name },
        user: { id: decoded(handle), name: account, displayName: account },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        attestation: 'none',
        excludeCredentials: keys,
        authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
      },
    });
    put('client_data', response.clientDataJSON);
    put('attestation', response.attestationObject);
  };

  let waits = false;
  form.addEventListener('submit', async (event) => {
    // Another button of the same form, or an answer that is there.
    if (asked.dataset.answered || event.submitter?.hasAttribute('data-without')) return;
    event.preventDefault();
    event.stopPropagation();
    if (waits) return;
    if (location.origin !== origin) return say('elsewhere');
    if (!window.PublicKeyCredential) return say('none');
    waits = true;
    say('waiting');
    const began = Date.now();
    try {
      await answer();
      asked.dataset.answered = 'yes';
      form.requestSubmit();
    } catch (error) {
      say(reason(error, began));
    } finally {
      waits = false;
    }
  });
}
