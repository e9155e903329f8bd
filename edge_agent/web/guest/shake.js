// Tells a shake from walking, putting down and dropping: it looks for changes of direction, which bumps do not have.
// A shake is at least 4 changes of direction beyond 8 m/s2, on the axis that moves most, within 1.2 s. That does not
// depend on how often the sensor reports. Comments stand on lines of their own and are not sent.
function shakeDetector() {
  const STRONG = 8, TURNS = 4, WITHIN_MS = 1200
  // Some phones report only with gravity; what changes slower than this time constant is taken for gravity.
  const GRAVITY_MS = 300
  // How long an axis' movement counts when the strongest is looked for.
  const POWER_MS = 400
  const axes = [0, 1, 2].map(() => ({power: 0, sign: 0, turns: []}))
  let gravity = null, before = 0
  // Takes a devicemotion event and its time in ms; true when the phone is being shaken.
  return (event, now) => {
    const passed = before ? Math.max(now - before, 1) : 16
    before = now
    let pull = event.acceleration
    if (!pull || pull.x === null) {
      const raw = event.accelerationIncludingGravity
      if (!raw || raw.x === null) return false
      const fresh = 1 - Math.exp(-passed / GRAVITY_MS)
      gravity = gravity || {x: raw.x, y: raw.y, z: raw.z}
      for (const axis of 'xyz') gravity[axis] += fresh * (raw[axis] - gravity[axis])
      pull = {x: raw.x - gravity.x, y: raw.y - gravity.y, z: raw.z - gravity.z}
    }
    const fading = Math.exp(-passed / POWER_MS)
    axes.forEach((axis, i) => {
      const value = pull['xyz'[i]]
      axis.power = axis.power * fading + value * value * passed
      axis.turns = axis.turns.filter(at => now - at <= WITHIN_MS)
      if (Math.abs(value) <= STRONG || Math.sign(value) === axis.sign) return
      if (axis.sign) axis.turns.push(now)
      axis.sign = Math.sign(value)
    })
    return axes.reduce((best, axis) => axis.power > best.power ? axis : best).turns.length >= TURNS
  }
}
