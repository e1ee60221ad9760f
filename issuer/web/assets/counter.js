// What a page does beside its forms: the focus goes to what is wrong, drafts live in this tab, a form is sent once, paper is printed.

// Whoever signs in next finds nothing of the one before; who comes back after a session that ended finds the own drafts.
const account = document.querySelector('.account')?.textContent;
if (account && sessionStorage.getItem('whose') !== account) {
  sessionStorage.clear();
  sessionStorage.setItem('whose', account);
}
for (const form of document.querySelectorAll('form[action="/counter/sign-out"]')) {
  form.addEventListener('submit', () => sessionStorage.clear());
}

for (const problem of document.querySelectorAll('[data-focus]')) problem.focus();
if (!document.querySelector('[data-focus], [autofocus]')) document.querySelector('[data-first]')?.focus();

// A draft stays in this tab until the form is taken: a reload or a lost session does not cost what was typed.
for (const form of document.querySelectorAll('form[data-draft]')) {
  const key = `draft:${form.dataset.draft}`;
  const fields = () => [...form.elements].filter((field) => field.name && field.type !== 'hidden');
  const untouched = fields().every((field) => (field.type === 'checkbox' ? !field.checked : field.tagName === 'SELECT' || !field.value));
  const kept = sessionStorage.getItem(key);
  if (kept && untouched) {
    const values = new Map(JSON.parse(kept));
    for (const field of fields()) {
      const name = field.type === 'checkbox' ? `${field.name}=${field.value}` : field.name;
      if (!values.has(name)) continue;
      if (field.type === 'checkbox') field.checked = values.get(name);
      else field.value = values.get(name);
    }
  }
  form.addEventListener('input', () => {
    const values = fields().map((field) =>
      field.type === 'checkbox' ? [`${field.name}=${field.value}`, field.checked] : [field.name, field.value]);
    sessionStorage.setItem(key, JSON.stringify(values));
  });
}
// The page of a case is there: what was typed for it is on file.
if (location.pathname.startsWith('/counter/cases/')) sessionStorage.removeItem('draft:intake');
document.addEventListener('submit', (event) => {
  const form = event.target;
  // What opens beside the form leaves the form as it is.
  if (event.submitter?.formTarget) return;
  if (form.dataset.sent) event.preventDefault();
  else form.dataset.sent = 'yes';
});
// Back to a page that the browser kept: its forms can be sent again.
addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent;
});

document.addEventListener('click', (event) => {
  if (event.target.closest('[data-print]')) print();
});
