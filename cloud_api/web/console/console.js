// Fetches the page anew when HQ has taken something in, and every half minute so that "how long ago" stays true.
// The browser opens the stream again by itself; without scripts the page reloads every minute.
const state = document.getElementById('state');
let fetching = false;
let wanted = false;

function say(on) {
  state.hidden = false;
  state.className = `pill ${on ? 'good' : 'warn'}`;
  const text = on ? state.dataset.on : state.dataset.off;
  if (state.textContent !== text) state.textContent = text;
}

async function renew() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  try {
    while (wanted) {
      wanted = false;
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.getElementById('live');
      if (fresh) document.getElementById('live').replaceWith(document.adoptNode(fresh));
      else if (answer.ok) location.reload(); // the session is over
    }
  } catch {
    say(false);
  } finally {
    fetching = false;
  }
}

const stream = new EventSource('/events');
stream.addEventListener('open', () => say(true));
stream.addEventListener('error', () => say(false));
stream.addEventListener('changed', renew);
setInterval(renew, 30_000);
