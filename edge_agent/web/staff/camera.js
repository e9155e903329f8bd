// Sends camera frames as grey pixels to the agent, which reads the codes; one frame on its way at a time.
const FRAME_WIDTH = 640;
const PAUSE_MS = 150;
// The same code in view is one scan; shown again after this long it is a new one.
const AGAIN_MS = 4000;

export async function openCamera(video, told) {
  const stream = await navigator.mediaDevices.getUserMedia(
    {video: {facingMode: 'environment', width: {ideal: 1280}, height: {ideal: 720}}, audio: false});
  video.srcObject = stream;
  await video.play();
  const canvas = document.createElement('canvas');
  const seen = new Map();
  let open = true;

  async function look() {
    const pixels = grey(video, canvas);
    if (!pixels) return;
    const answer = await fetch('/till/frame', {
      method: 'POST',
      headers: {'Content-Type': 'application/octet-stream', 'X-Frame-Size': `${canvas.width}x${canvas.height}`},
      body: pixels,
    });
    if (!answer.ok || !answer.headers.get('Content-Type').includes('json')) return;
    const {codes, foreign} = await answer.json();
    for (const code of codes) {
      if (Date.now() - (seen.get(code) ?? 0) > AGAIN_MS) told.saw(code);
      seen.set(code, Date.now());
    }
    if (!codes.length && foreign) told.foreign();
  }

  (async () => {
    while (open) {
      try { await look(); } catch { /* a lost frame is followed by the next one */ }
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS));
    }
  })();
  return {close() { open = false; for (const track of stream.getTracks()) track.stop(); video.srcObject = null; }};
}

function grey(video, canvas) {
  if (!video.videoWidth) return null;
  canvas.width = Math.min(FRAME_WIDTH, video.videoWidth);
  canvas.height = Math.round(video.videoHeight * canvas.width / video.videoWidth);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint8Array(canvas.width * canvas.height);
  for (let at = 0, from = 0; at < pixels.length; at++, from += 4)
    pixels[at] = (data[from] * 77 + data[from + 1] * 150 + data[from + 2] * 29) >> 8;
  return pixels;
}
