// The shake and the held button. Both only choose a number and send it; the store decides, with the same odds.
// Comments stand on lines of their own and are not sent.
(() => {
const $ = id => document.getElementById(id)
const game = $('game'), hold = $('hold'), arm = $('arm'), motion = $('motion'), say = $('say')
if (!game || !hold || !self.fetch || !self.crypto) return
const words = game.dataset
const HOLD_MS = 1200
const LISTEN_MS = 10000
const PAGE_MS = 3000
let left = +words.left, nonce = '', busy = false, timer = 0, deaf = 0, shaken = shakeDetector()
const canFeel = 'DeviceMotionEvent' in self && isSecureContext

$('live').hidden = false
$('covers').open = false
if (!canFeel) { arm.hidden = true; motion.closest('label').hidden = true }
try { motion.checked = localStorage.getItem('motion') !== 'off' } catch {}

function tell(text, kind) {
  say.className = kind || ''
  say.replaceChildren(...[].concat(text))
}
function element(name, kind, text) {
  const made = document.createElement(name)
  if (kind) made.className = kind
  if (text) made.textContent = text
  return made
}
function freshNonce() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('')
}

async function play() {
  if (busy || left < 1) return
  busy = true
  disarm()
  // The number stays until there is an answer, so that a play whose answer got lost is not played twice.
  nonce = nonce || freshNonce()
  tell(words.drawing)
  let response, answer
  try {
    response = await fetch(words.play, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({campaign: words.campaign, nonce})
    })
    answer = await response.json()
  } catch { response = null }
  if (!response || response.status >= 500) { busy = false; return tell(words.retry) }
  nonce = ''
  if (!response.ok) { busy = false; return tell(answer.say || answer.detail) }
  left -= 1
  show(answer)
  // A prize may be the last of the day although tries are left, which the store alone knows.
  if (answer.won) left = await stillLeft(left)
  busy = false
  $('left').textContent = $('left').dataset.leftText.replace('#', left)
  if (left < 1) { $('live').hidden = true; $('covers').hidden = true; say.append(element('p', '', words.over)) }
}
async function stillLeft(otherwise) {
  try {
    const late = new Promise((_, give) => setTimeout(give, PAGE_MS))
    const page = await Promise.race([fetch(location.href).then(answer => answer.text()), late])
    const fresh = new DOMParser().parseFromString(page, 'text/html').getElementById('game').dataset
    return fresh.campaign === words.campaign ? +fresh.left : 0
  } catch { return otherwise }
}
function show(answer) {
  if (!answer.won) return tell(element('p', '', words.lost))
  const confetti = element('div', 'confetti')
  confetti.ariaHidden = 'true'
  for (let i = 0; i < 24; i++) confetti.append(element('i'))
  const open = element('a', 'button main', words.open)
  open.href = words.coupons + answer.coupon.id + (words.lang ? '?lang=' + words.lang : '')
  tell([confetti, element('p', 'big', words.won), element('p', '', answer.coupon.title), open], 'win')
  say.scrollIntoView({block: 'center'})
  if (navigator.vibrate) try { navigator.vibrate([60, 50, 60, 50, 160]) } catch {}
}

function press() {
  if (busy || timer) return
  hold.classList.add('on')
  tell(words.holding)
  timer = setTimeout(() => { letGo(); play() }, HOLD_MS)
}
function letGo() {
  clearTimeout(timer)
  timer = 0
  hold.classList.remove('on')
}
function release() {
  if (!timer) return
  letGo()
  tell(words.short)
}
hold.addEventListener('pointerdown', event => { if (event.button === 0) { hold.setPointerCapture(event.pointerId); press() } })
for (const end of ['pointerup', 'pointercancel', 'blur']) hold.addEventListener(end, release)
hold.addEventListener('contextmenu', event => event.preventDefault())
hold.addEventListener('keydown', event => {
  if (event.key !== ' ' && event.key !== 'Enter') return
  event.preventDefault()
  if (!event.repeat) press()
})
hold.addEventListener('keyup', event => { if (event.key === ' ' || event.key === 'Enter') { event.preventDefault(); release() } })
// A screen reader's "activate" is a click without a pointer or a key, which nobody can hold down.
hold.addEventListener('click', event => { if (event.detail === 0 && !timer) play() })

function felt(event) {
  if (shaken(event, performance.now())) play()
}
function disarm() {
  clearTimeout(deaf)
  removeEventListener('devicemotion', felt)
  game.classList.remove('shaking')
}
arm.addEventListener('click', async () => {
  disarm()
  if (!motion.checked || busy) return
  tell(words.arming)
  try {
    if (DeviceMotionEvent.requestPermission && await DeviceMotionEvent.requestPermission() !== 'granted') throw 0
  } catch { return tell(words.denied) }
  shaken = shakeDetector()
  addEventListener('devicemotion', felt)
  game.classList.add('shaking')
  tell(words.shake)
  deaf = setTimeout(() => { disarm(); tell(words.idle) }, LISTEN_MS)
})
motion.addEventListener('change', () => {
  arm.hidden = !motion.checked
  disarm()
  tell('')
  try { localStorage.setItem('motion', motion.checked ? 'on' : 'off') } catch {}
})
if (!motion.checked) arm.hidden = true
})()
