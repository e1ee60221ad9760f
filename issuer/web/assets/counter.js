// What a page does beside its forms: the focus goes to what is wrong, what is typed is kept, a form is sent once, paper is printed.

for (const problem of document.querySelectorAll('[data-focus]')) problem.focus();
if (!document.querySelector('[data-focus], [autofocus]')) document.querySelector('[data-first]')?.focus();

// What is typed is kept by the office at each step, one saving after the other. A form that another window changed waits for a decision.
for (const form of document.querySelectorAll('form[data-draft]')) {
  let saving = false;
  let again = false;
  const save = async () => {
    if (saving) {
      again = true;
      return;
    }
    const part = form.querySelector('#draft');
    if (part.querySelector('.problem') || form.dataset.sent) return;
    saving = true;
    const body = new URLSearchParams(new FormData(form));
    body.set('quiet', 'yes');
    try {
      const answer = await fetch(form.dataset.draft, { method: 'POST', body });
      if (answer.redirected || answer.status === 401) {
        const said = document.createElement('p');
        said.className = 'wrong';
        said.textContent = part.dataset.ended;
        part.querySelector('p, div')?.remove();
        part.append(said);
      } else if (answer.ok) part.outerHTML = await answer.text();
    } catch {
      // The line is gone: the next step tries again.
    }
    saving = false;
    if (again) {
      again = false;
      await save();
    }
  };
  // At each step, and in the middle of a long one.
  let pause;
  form.addEventListener('change', save);
  form.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(save, 700);
  });
}

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
