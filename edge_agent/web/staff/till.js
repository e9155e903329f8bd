// The till without page loads: the server renders, this swaps. What is typed or scanned meanwhile waits in line, an
// answer that got lost is asked for again with the same order id, and the draft outlives a reload. The page waits for
// this script before it shows a field: a scan that submitted the bare form would lose the keys typed while it loads.
const KEPT = 'beckon-till-draft';
// A result is shown again after a reload only while it is fresh; an order in hand is always kept.
const RESULT_MS_MAX = 10 * 60 * 1000;
const ANSWER_MS_MAX = 10000;
const RETRY_MS = [1000, 2000, 4000, 8000];
const TYPING_MS = 400;
// More refusals than fit above the order are of one mistake, as with a scanner that lies on its trigger.
const UNREAD_MAX = 5;

const line = [];
let working = false;
let pointerDown = false;
let camera = null;

const main = () => document.getElementById('main');
const form = () => document.getElementById('till');
const field = name => form()?.elements.namedItem(name);
const text = name => form()?.dataset[name] ?? '';

function draft() {
  const data = new FormData(form());
  return {order: data.get('order'), basket: data.get('basket') ?? '', codes: data.getAll('code'),
    state: form().dataset.state, at: Date.now()};
}

function keep() {
  const now = draft();
  if (now.codes.length || now.basket) localStorage.setItem(KEPT, JSON.stringify(now));
  else localStorage.removeItem(KEPT);
}

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT));
    if (!found || (found.state === 'done' && Date.now() - found.at > RESULT_MS_MAX)) return null;
    return found;
  } catch {
    return null;
  }
}

function bodyOf(action) {
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form())) if (!['scan', 'do'].includes(name)) body.append(name, value);
  for (const [name, value] of Object.entries(action)) {
    body.delete(name);
    for (const each of [value].flat()) body.append(name, each);
  }
  return body;
}

async function ask(body) {
  for (let tried = 0; ; tried++) {
    try {
      const answer = await fetch('/till', {method: 'POST', body, signal: AbortSignal.timeout(ANSWER_MS_MAX)});
      if (answer.status < 500) return await answer.text();
    } catch { /* no answer: the same request is sent again */ }
    await pause(tried);
  }
}

function pause(tried) {
  const wait = RETRY_MS[Math.min(tried, RETRY_MS.length - 1)];
  return new Promise(resolve => {
    const news = document.getElementById('news');
    news.replaceChildren(banner(text('noAnswer'), text('retry'), resolve));
    setTimeout(resolve, wait);
  });
}

function banner(words, label, press) {
  const box = document.createElement('div');
  box.className = 'say refused';
  box.id = 'no-answer';
  const inner = document.createElement('div');
  const said = document.createElement('p');
  said.textContent = words;
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'second';
  button.textContent = label;
  button.addEventListener('click', press);
  inner.append(said, button);
  box.append(inner);
  return box;
}

function pointerFree() {
  if (!pointerDown) return Promise.resolve();
  return new Promise(resolve => addEventListener('pointerup', () => setTimeout(resolve), {once: true}));
}

function swap(html) {
  const fresh = new DOMParser().parseFromString(html, 'text/html').getElementById('main');
  if (!fresh) return location.reload();
  const old = {scan: document.getElementById('scan'), viewer: document.getElementById('viewer'),
    basket: document.getElementById('basket')};
  const inBasket = document.activeElement === old.basket && old.basket !== null;
  const typed = old.basket?.value, rendered = old.basket?.defaultValue;
  const parts = {scan: fresh.querySelector('#scan'), viewer: fresh.querySelector('#viewer'),
    basket: fresh.querySelector('#basket')};
  // The same field stays: a scanner may be typing into it.
  if (parts.scan && old.scan) parts.scan.replaceWith(old.scan);
  if (parts.viewer && old.viewer) parts.viewer.replaceWith(old.viewer);
  // Nobody reads a refusal that comes while they scan on: it has to outlast the answers that follow.
  const refused = [...fresh.querySelectorAll('#news .refused')];
  main().replaceChildren(...fresh.childNodes);
  document.getElementById('news')?.prepend(...unread);
  unread = line.length || old.scan?.value ? [...unread, ...refused].slice(-UNREAD_MAX) : [];
  const basket = document.getElementById('basket');
  if (basket && old.basket && typed !== sentBasket && typed !== rendered) {
    // Typed after the question was sent: the answer does not count it yet, wherever the cursor is by now.
    basket.value = typed;
    countSoon();
  }
  if (basket && inBasket) {
    basket.focus();
    basket.setSelectionRange(basket.value.length, basket.value.length);
  } else if (form()) {
    document.getElementById('scan')?.focus();
  } else {
    main().querySelector('[autofocus]')?.focus();
  }
  ready();
}

let sentBasket = null;
let unread = [];

async function work() {
  if (working) return;
  working = true;
  document.body.classList.add('busy');
  while (line.length && form()) {
    const body = bodyOf(line[0]);
    sentBasket = body.get('basket');
    const html = await ask(body);
    line.shift();
    await pointerFree();
    swap(html);
  }
  line.length = 0;
  working = false;
  document.body.classList.remove('busy');
}

function enqueue(action) {
  const once = ['redeem', 'new'].includes(action.do) || action.do.startsWith('undo ');
  if (once && line.some(waiting => waiting.do === action.do)) return;
  line.push(action);
  work();
}

function onSubmit(event) {
  if (event.target.id !== 'till') return;
  event.preventDefault();
  const chosen = event.submitter?.value ?? 'scan';
  if (chosen !== 'scan') return enqueue({do: chosen});
  const scan = field('scan');
  const scanned = scan.value;
  scan.value = '';
  enqueue({do: 'scan', scan: scanned});
}

let typing = 0;
function countSoon() {
  clearTimeout(typing);
  // A scanner that types into the amount is faster than the pause and ends with Enter. What waits in line counts the
  // amount too, and what was typed after it was sent is counted once it is answered.
  typing = setTimeout(() => { if (!line.length) enqueue({do: 'show'}); }, TYPING_MS);
}

function onInput(event) {
  if (event.target.id === 'basket') countSoon();
}

function onKey(event) {
  if (event.key === 'F2' && document.getElementById('basket')) {
    event.preventDefault();
    document.getElementById('basket').select();
  } else if (event.key === 'F4' && form()) {
    event.preventDefault();
    (document.getElementById('redeem') ?? document.getElementById('new')).click();
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && form()
      && !(document.activeElement instanceof HTMLInputElement)) {
    // A scan while a button has the focus belongs into the field.
    document.getElementById('scan').focus();
  }
}

function ready() {
  if (!form()) return;
  keep();
  const button = document.getElementById('camera');
  button.hidden = !navigator.mediaDevices?.getUserMedia;
  button.onclick = toggleCamera;
  document.getElementById('camera-off').onclick = toggleCamera;
  // Moved into the fresh page, the picture stands still; playing on fails only where the camera is being closed.
  if (camera) document.querySelector('#viewer video').play().catch(() => {});
}

async function toggleCamera() {
  const viewer = document.getElementById('viewer');
  const saw = viewer.querySelector('.saw');
  if (camera) {
    camera.close();
    camera = null;
    viewer.hidden = true;
    document.getElementById('scan').focus();
    return;
  }
  viewer.hidden = false;
  saw.textContent = text('cameraLook');
  try {
    const {openCamera} = await import('./camera.js');
    camera = await openCamera(viewer.querySelector('video'), {
      saw: code => {
        saw.textContent = `${text('cameraSaw')} ${code.slice(0, 24)}${code.length > 24 ? '…' : ''}`;
        if (form() && !draft().codes.includes(code)) enqueue({do: 'scan', scan: code});
      },
      foreign: () => { saw.textContent = text('cameraForeign'); },
    });
  } catch {
    camera = null;
    saw.textContent = text('cameraOff');
  }
}

addEventListener('submit', onSubmit);
addEventListener('input', onInput);
addEventListener('keydown', onKey);
addEventListener('pointerdown', () => { pointerDown = true; });
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => { pointerDown = false; });

addEventListener('DOMContentLoaded', () => {
  if (!form()) return;
  const found = kept();
  const isFresh = form().dataset.state === 'open' && !draft().codes.length && !draft().basket;
  if (found && isFresh) enqueue({do: 'show', order: found.order, basket: found.basket, code: found.codes});
  ready();
});
