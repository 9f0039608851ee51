// A film of a login: 15 frames, while the person does what the service asks.

import { pause } from "./api.js";
import { snap } from "./camera.js";
import { has, t } from "./strings.js";

export const FRAMES = 15;
const LONGEST = 640; // pixels of a frame
const COUNTDOWN_S = 3;
const READ_S = 2; // more, if there are moves to read
const STILL_MS = 3000;
const MOVING_MS = 6000;
const BEFORE = 0.16; // shares of a film with moves: from the front, before and after them
const AFTER = 0.24;

/**
 * Film the person. Return {photo, frames}, JPEGs; the photo is taken when the film begins.
 *
 * moves: what the service asks for, in its words; [] asks for nothing.
 * say(state, text, detail, share): tell the person what to do; share of the film that is done.
 */
export async function film(video, moves, say, signal) {
  const spoken = moves.map((move) => (has(`move.${move}`) ? t(`move.${move}`) : move));
  const about = moves.length ? t("film.moves", { first: spoken[0], then: spoken[1] }) : t("film.blink");
  for (let left = COUNTDOWN_S + (moves.length ? READ_S : 0); left > 0; left--) {
    say("countdown", String(left), about, 0);
    await pause(1000, signal);
  }
  const lasts = moves.length ? MOVING_MS : STILL_MS;
  const began = performance.now();
  const photo = await snap(video);
  const frames = [];
  for (let number = 0; number < FRAMES; number++) {
    await pause(Math.max(0, began + (lasts * number) / (FRAMES - 1) - performance.now()), signal);
    const share = number / (FRAMES - 1);
    say("filming", instruction(spoken, share), "", share);
    frames.push(await snap(video, LONGEST));
  }
  return { photo, frames };
}

/** What to do after this share of the film. */
function instruction(moves, share) {
  if (!moves.length) return t("film.blink");
  if (share < BEFORE || share > 1 - AFTER) return t("film.front");
  const done = (share - BEFORE) / (1 - BEFORE - AFTER);
  return moves[Math.min(moves.length - 1, Math.floor(done * moves.length))];
}
