// Keeps the list fresh from the agent's event stream. The browser connects again by itself where the line broke off, but gives
// up on an answer that is no stream, as while the agent starts.
const AGAIN_MS = 5000;
const list = document.getElementById('near');
const live = document.getElementById('live');

function say(state) {
  live.className = `pill ${state}`;
  live.textContent = live.dataset[state];
}

function listen() {
  const stream = new EventSource('/staff/live');
  stream.addEventListener('open', () => say('on'));
  stream.addEventListener('near', event => { list.innerHTML = event.data; });
  stream.addEventListener('error', () => {
    say('off');
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  });
}

listen();
