// The camera at the counter: a preview with the outline of a head, what the office says of a small picture every second or so, and a still
// that goes into the form of the photo file, which is submitted as any file is. Without this, or without a camera, that form stays.

/** The longer side of the picture that is asked about, pixels. */
const SMALL = 480;
/** Between two questions, milliseconds: each costs the office's decoder a tenth of a second. */
const PAUSE = 1_200;

const camera = document.querySelector('[data-camera]');
const field = document.querySelector('input[type=file][name=file]');
const video = camera?.querySelector('video');
const said = camera?.querySelector('[role=status]');
const still = camera?.querySelector('canvas');

/** The picture as it is now, its longer side at most so long, as a JPEG. */
const picture = (longest, quality, canvas) => {
  const [width, height] = [video.videoWidth, video.videoHeight];
  const scale = Math.min(1, longest / Math.max(width, height));
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, 'image/jpeg', quality); });
};

const small = document.createElement('canvas');
const ask = async () => {
  if (!document.hidden && !video.paused && video.videoWidth) {
    try {
      const body = await picture(SMALL, 0.8, small);
      const answer = await fetch(camera.dataset.camera, { method: 'POST', body, headers: { 'content-type': 'image/jpeg' } });
      if (answer.ok && !answer.redirected && !video.paused) {
        const words = await answer.text();
        // The same words are not said again.
        if (words && words !== said.textContent) said.textContent = words;
        camera.dataset.ready = answer.headers.get('x-yzt-ready') ?? '';
      }
    } catch {
      // The line is gone: the next picture tries again.
    }
  }
  setTimeout(ask, PAUSE);
};

const take = async () => {
  const file = await picture(4_000, 0.95, still);
  const files = new DataTransfer();
  files.items.add(new File([file], 'camera.jpg', { type: 'image/jpeg' }));
  field.files = files.files;
  video.pause();
  camera.classList.add('taken');
  said.textContent = camera.dataset.taken;
  field.form.querySelector('button').focus();
};

const again = async () => {
  field.value = '';
  camera.classList.remove('taken');
  await video.play();
  camera.querySelector('[data-take]').focus();
};

if (camera && field && navigator.mediaDevices?.getUserMedia) {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1_920 }, height: { ideal: 1_080 } }, audio: false });
    camera.hidden = false;
    await video.play();
    camera.querySelector('[data-take]').addEventListener('click', take);
    camera.querySelector('[data-again]').addEventListener('click', again);
    addEventListener('pagehide', () => video.srcObject.getTracks().forEach((track) => track.stop()));
    ask();
  } catch {
    document.querySelector('[data-no-camera]').hidden = false;
  }
} else document.querySelector('[data-no-camera]')?.removeAttribute('hidden');
