// Who is enrolled: find, show, change, enrol and remove people.

import { asked } from "../parts.js";
import { renderEnrolling } from "../people/enrolling.js";
import { renderList } from "../people/list.js";
import { renderPerson } from "../people/person.js";

export const id = "people";
export const roles = ["enrol"];

/** #people lists all, #people?id=17 shows one, and #people?enrol enrols more. */
export function render(root, signal) {
  const wanted = asked();
  if (wanted.has("id")) renderPerson(root, wanted.get("id"), signal);
  else if (wanted.has("enrol")) renderEnrolling(root, signal);
  else renderList(root, signal);
}
