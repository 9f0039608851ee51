// The webcam, and photos taken with it.

const WANTED = { video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } }, audio: false };
const FAULTS = { NotAllowedError: "refused", NotFoundError: "none", OverconstrainedError: "none", NotReadableError: "busy" };
const QUALITY = 0.92;

/** Why there is no camera. code: insecure, refused, none, busy, lost or unknown. */
export class CameraFault extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** Open the camera and show it in a video element; close it when signal is aborted. Throws a CameraFault. */
export async function openCamera(video, signal) {
  if (!navigator.mediaDevices) throw new CameraFault(window.isSecureContext ? "none" : "insecure");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(WANTED);
  } catch (error) {
    throw new CameraFault(FAULTS[error.name] ?? "unknown");
  }
  const close = () => stream.getTracks().forEach((track) => track.stop());
  signal.addEventListener("abort", close, { once: true });
  if (signal.aborted) close();
  signal.throwIfAborted();
  video.srcObject = stream;
  await video.play();
  return stream.getVideoTracks()[0];
}

/** Take a photo, a JPEG whose longer side has at most so many pixels. */
export function snap(video, longest = Infinity) {
  const { videoWidth: width, videoHeight: height } = video;
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
