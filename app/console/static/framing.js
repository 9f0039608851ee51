// What the service sees while somebody gets into the picture: the face's box, its landmarks, and advice.

import { call, pause } from "./api.js";
import { svg } from "./ui.js";
import { has, t } from "./strings.js";

const REST_MS = 500; // between two photos, at least
const REST_SHARE = 5; // and so many times as long as the last answer took
const RETRY_S = 2;
const RIVAL = 0.6; // a second face of this share of the largest one's size is refused
const TOO_NEAR = 0.8; // shares of the picture's height
const TOO_FAR = 0.22;
const ASIDE = 0.22; // distance of the face's middle from the picture's, in its width

/** Ask the service again and again, one photo at a time, until signal is aborted. */
export async function watch(takePhoto, show, signal) {
  while (!signal.aborted) {
    let rest = REST_MS;
    if (!document.hidden) {
      const began = performance.now();
      try {
        show(await look(await takePhoto(), signal));
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401 || error.status === 403) throw error;
        rest = 1000 * (error.retryAfterS ?? RETRY_S);
        show(null);
      }
      rest = Math.max(rest, REST_SHARE * (performance.now() - began));
    }
    await pause(rest, signal).catch(() => {});
  }
}

/** Ask the service about one photo. Throws a Problem. */
export async function look(photo, signal) {
  return (await call("POST", "api/v2/faces", { form: { photo }, signal })).data;
}

/** What the person should do, as [kind, sentence]. seen: the answer of `faces`. */
export function advice({ width, height, faces }) {
  const [face] = faces;
  if (!face) return ["warn", t("advice.look")];
  if (areSeveral(faces)) return ["warn", t("advice.alone")];
  const { left, top, width: across, height: tall } = face.box;
  if (tall > TOO_NEAR * height) return ["warn", t("advice.further")];
  if (tall < TOO_FAR * height) return ["warn", t("advice.face_too_small")];
  const [x, y] = [(left + across / 2) / width - 0.5, (top + tall / 2) / height - 0.5];
  if (Math.max(Math.abs(x), Math.abs(y)) > ASIDE) return ["warn", t("advice.centre")];
  if (face.usable) return ["good", t("advice.good")];
  return ["warn", has(`advice.${face.code}`) ? t(`advice.${face.code}`) : face.advice];
}

/** Whether a photo can be used, as [kind, sentence]: nobody is there to be told what to do. */
export function judgement({ faces }) {
  const [face] = faces;
  if (!face) return ["warn", t("photo.no_face")];
  if (areSeveral(faces)) return ["warn", t("photo.several_faces")];
  if (face.usable) return ["good", t("photo.good")];
  return ["warn", has(`photo.${face.code}`) ? t(`photo.${face.code}`) : face.advice];
}

function areSeveral([face, rival]) {
  return rival !== undefined && rival.quality.size_px >= RIVAL * face.quality.size_px;
}

/** Draw the faces that the service saw into an <svg> that lies over the picture. */
export function draw(overlay, seen) {
  overlay.replaceChildren();
  if (!seen) return;
  overlay.setAttribute("viewBox", `0 0 ${seen.width} ${seen.height}`);
  const dot = Math.max(2, seen.width / 160);
  seen.faces.forEach(({ box, landmarks, usable }, number) => {
    const { left: x, top: y, width, height } = box;
    const kind = number > 0 ? "other" : usable ? "good" : "warn";
    overlay.append(svg("rect", { class: `box ${kind}`, x, y, width, height, rx: width / 12 }));
    if (number > 0) return;
    for (const [cx, cy] of Object.values(landmarks)) overlay.append(svg("circle", { class: kind, cx, cy, r: dot }));
  });
}
