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
    if (part.querySelector('.problem')) return;
    saving = true;
    const notKept = (said) => {
      const words = document.createElement('p');
      words.className = 'wrong';
      words.textContent = said;
      part.querySelector('p, div')?.remove();
      part.append(words);
    };
    const body = new URLSearchParams(new FormData(form));
    body.set('quiet', 'yes');
    try {
      const answer = await fetch(form.dataset.draft, { method: 'POST', body });
      if (answer.redirected || answer.status === 401) notKept(part.dataset.ended);
      else if (answer.ok) part.outerHTML = await answer.text();
      else {
        notKept(part.dataset.away);
        if (answer.status >= 500) later();
      }
    } catch {
      // The line is gone.
      notKept(part.dataset.away);
      later();
    }
    saving = false;
    if (again) {
      again = false;
      await save();
    }
  };
  // At each step, and in the middle of a long one; what could not be kept is tried again.
  let pause;
  const later = () => {
    clearTimeout(pause);
    pause = setTimeout(save, 5000);
  };
  addEventListener('online', save);
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
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = 'yes';
  // Work at the reader takes its time: that it goes on is said, and that the press was taken.
  const said = document.body.dataset.working;
  if (said) setTimeout(() => {
    if (!form.dataset.sent) return;
    const words = document.createElement('p');
    words.className = 'working';
    words.setAttribute('role', 'status');
    words.textContent = said;
    form.append(words);
  }, 1000);
  setTimeout(sendable, 30000);
});
/** Forms can be sent again: each carries its own id, and what was done already is done once. */
function sendable() {
  for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent;
  for (const words of document.querySelectorAll('.working')) words.remove();
}
// Back to a page that the browser kept; a line that was stalled, and stopped by hand.
addEventListener('pageshow', sendable);
addEventListener('keydown', (event) => event.key === 'Escape' && sendable());

document.addEventListener('click', (event) => {
  if (event.target.closest('[data-print]')) print();
});
