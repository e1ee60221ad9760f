// To the signing page, and back from it. What comes back is sent on as a form of this origin, to the two steps of a case and to the
// signing keys alone; the office checks the signature itself.

const away = document.getElementById('to-sign');
// Not kept in the history: the address has a person's facts behind its '#'.
if (away) location.replace(away.href);

const form = document.getElementById('signed');
if (form) {
  const came = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, '', location.pathname);
  const step = /^(cases\/[0-9a-f-]{36}\/(?:review|sign-off))\/([0-9a-f]{64})$/.exec(came.get('to') ?? '');
  const send = (action, fields) => {
    form.action = `/counter/${action}`;
    for (const [name, value] of fields) {
      const field = document.createElement('input');
      [field.type, field.name, field.value] = ['hidden', name, value ?? ''];
      form.append(field);
    }
    form.requestSubmit();
  };
  if (step && came.has('signature')) send(step[1], [['content', step[2]], ['signature', came.get('signature')]]);
  else if (came.get('to') === 'signing-keys') send('signing-keys', ['account', 'role', 'organ', 'client_data', 'attestation'].map((name) => [name, came.get(name)]));
  else {
    document.getElementById('going').hidden = true;
    document.getElementById('nothing').hidden = false;
    document.getElementById('nothing').focus();
  }
}
