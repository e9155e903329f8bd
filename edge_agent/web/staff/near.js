// Keeps the list fresh from the agent's event stream; the browser connects again by itself.
const list = document.getElementById('near');
const live = document.getElementById('live');
const stream = new EventSource('/staff/live');

function say(state) {
  live.className = `pill ${state}`;
  live.textContent = live.dataset[state];
}

stream.addEventListener('open', () => say('on'));
stream.addEventListener('error', () => say('off'));
stream.addEventListener('near', event => { list.innerHTML = event.data; });
