// Fetches the page anew when HQ has taken something in, and every half minute so that "how long ago" stays true.
// Without scripts the page reloads every minute.
const state = document.getElementById('state');
// A page that takes long to make is asked for less often: a window costs HQ a quarter of its time at most.
const REST_FACTOR = 3;
const AGAIN_MS = 10_000;
let fetching = false;
let wanted = false;

function say(on) {
  state.hidden = false;
  state.className = `pill ${on ? 'good' : 'warn'}`;
  const text = on ? state.dataset.on : state.dataset.off;
  if (state.textContent !== text) state.textContent = text;
}

function rest(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// What was unfolded stays so, and whoever is about to press a button or follow a link finds the focus there again.
function put(fresh) {
  const old = document.getElementById('live');
  const folds = [...fresh.querySelectorAll('details')];
  old.querySelectorAll('details').forEach((each, place) => {
    if (folds[place]) folds[place].open = each.open;
  });
  if (old.innerHTML === fresh.innerHTML) return;
  const held = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(document.adoptNode(fresh));
  if (!held) return;
  const same = [...fresh.querySelectorAll('a, button, input, summary')].find(
    (each) =>
      each.tagName === held.tagName && each.id === held.id && each.getAttribute('href') === held.getAttribute('href'),
  );
  if (same) same.focus({ preventScroll: true });
}

async function renew() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  try {
    while (wanted) {
      wanted = false;
      const began = performance.now();
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.getElementById('live');
      if (fresh) put(fresh);
      else if (answer.ok) location.reload(); // the session is over
      await rest(REST_FACTOR * (performance.now() - began));
    }
  } catch {
    say(false);
  } finally {
    fetching = false;
  }
}

// The browser opens a stream that broke off again by itself, but gives up on one that HQ refused, as while it starts.
function listen() {
  const stream = new EventSource('/events');
  stream.addEventListener('open', () => say(true));
  stream.addEventListener('changed', renew);
  stream.addEventListener('error', () => {
    say(false);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  });
}

listen();
setInterval(renew, 30_000);
