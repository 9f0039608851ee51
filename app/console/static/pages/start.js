// Enrol and log in with the webcam.

import { card, el } from "../ui.js";
import { t } from "../strings.js";

export const id = "start";
export const roles = ["login", "enrol"];

export function render(root) {
  root.append(el("h1", {}, t("start.title")), card());
}
