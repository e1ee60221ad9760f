// What waits, and how a card stands, follow by themselves while the page is looked at. Without this a page is looked at again.

let turn;
let source;
let missing;

/** Whether somebody types in a part of the page, or has chosen something: nothing is taken away then. */
const isUsed = (part) => part.querySelector('[data-sent]') !== null || [...part.querySelectorAll('input, select, textarea')].some(
  (field) => field === document.activeElement || field.checked !== field.defaultChecked
    || (field.tagName === 'INPUT' && field.type !== 'hidden' && field.value !== field.defaultValue));

/** The parts of the page that live, as they are now. */
const again = async () => {
  if (!document.querySelector('[data-live]')) return;
  const answer = await fetch(location.href, { headers: { 'x-yzt-follows': 'yes' } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const part of document.querySelectorAll('[data-live]')) {
    const next = fresh.getElementById(part.id);
    // Somebody may have begun since it was asked for.
    if (!next || next.isEqualNode(part) || isUsed(part)) continue;
    const had = part.contains(document.activeElement) && document.activeElement.getAttribute('href');
    part.replaceWith(document.importNode(next, true));
    if (had) document.querySelector(`a[href="${CSS.escape(had)}"]`)?.focus();
  }
};

const listen = () => {
  if (source || document.hidden) return;
  source = new EventSource('/counter/events');
  source.addEventListener('stands', ({ data, lastEventId }) => {
    for (const [list, count] of Object.entries(JSON.parse(data))) {
      for (const place of document.querySelectorAll(`[data-count="${list}"]`)) place.textContent = count;
    }
    if (lastEventId !== turn) again().catch(() => {});
    turn = lastEventId;
  });
  source.addEventListener('ended', stop);
  source.addEventListener('open', () => away(false));
  source.addEventListener('error', () => {
    clearTimeout(missing);
    missing = setTimeout(() => away(true), 5000);
    // The browser tries again by itself, but where the server answered with an error.
    if (source?.readyState === EventSource.CLOSED) {
      source = undefined;
      setTimeout(listen, 5000);
    }
  });
};
/** Says that the page stands still, or says it no more. */
function away(is) {
  clearTimeout(missing);
  const words = document.querySelector('#line-away > div');
  if (words) words.hidden = !is;
}
function stop() {
  source?.close();
  source = undefined;
  away(false);
}
document.addEventListener('visibilitychange', () => (document.hidden ? stop() : listen()));
addEventListener('pagehide', stop);
addEventListener('pageshow', listen);
