// What the audit log says of logins, and why one was refused.

import { call } from "./api.js";
import { distance, has, number, t } from "./strings.js";

export const LOGINS = ["login", "verify"];
const ENTRIES = 200; // of the audit log in one call
const MOST_CALLS = 5; // until what was found is shown

// What a person may look for, in the order of the choice.
export const OUTCOMES = [
  "ok", "no_match", "not_verified", "ambiguous", "not_alive", "fraud_suspected", "session_gone", "no_face", "several_faces",
  "face_too_small", "face_too_blurred", "face_too_noisy", "face_turned", "face_covered", "poor_light", "picture_stretched",
];

/** Return {logins, cursor}: at least so many logins if there are as many, and where to go on. */
export async function logins(query, least, signal) {
  const found = [];
  let { cursor } = query;
  for (let calls = 0; calls < MOST_CALLS; calls++) {
    const { data } = await call("GET", "api/v2/audit-entries", { query: { ...query, cursor, limit: ENTRIES }, signal });
    found.push(...data.entries.filter((entry) => LOGINS.includes(entry.action)));
    cursor = data.next_cursor;
    if (cursor === null || found.length >= least) break;
  }
  return { logins: found, cursor };
}

/** What an outcome is called. */
export function outcome({ outcome: code }) {
  return has(`outcome.${code}`) ? t(`outcome.${code}`) : code;
}

/** Sentences: what was measured, what was needed, and what to do. */
export function reasons(entry) {
  const said = [];
  if (typeof entry.distance === "number") {
    said.push(t("why.distance", { distance: distance(entry.distance) }));
    if (entry.needed_below) said.push(t("why.needed", { threshold: distance(entry.needed_below) }));
  }
  if (entry.between) said.push(t("why.between", { one: entry.between[0], other: entry.between[1] }));
  const advice = [`why.${entry.outcome}`, `problem.${entry.outcome}`].find(has);
  said.push(advice ? t(advice, { seconds: number(5) }) : t("why.unknown", { code: entry.outcome }));
  return said;
}
