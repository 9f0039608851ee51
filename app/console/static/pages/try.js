// The calls of the API as they would be made from here, for curl and Python.

import { whoAmI } from "../access.js";
import { call } from "../api.js";
import { copyButton, fill, heading } from "../parts.js";
import { curl, example, python } from "../snippets.js";
import { has, t } from "../strings.js";
import { card, el, field } from "../ui.js";

export const id = "try";
export const roles = ["login", "enrol", "monitor"];

const ROOT = new URL("..", document.baseURI).href.replace(/\/$/, "");
const OTHERS = ["/metrics", "/readyz"];

export function render(root, signal) {
  const found = el("div", { class: "stack" });
  root.append(heading(t("try.title"), t("try.lead")), card(found));
  fill(found, signal, async () => (await call("GET", "openapi.json", { signal })).data, shown);
}

function shown({ paths }) {
  const calls = Object.entries(paths)
    .filter(([path]) => path.startsWith("/api/v2/") || OTHERS.includes(path))
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })))
    .filter(({ operation }) => isFor(operation))
    .sort((one, other) => place(one) - place(other));
  const options = calls.map((each, at) => el("option", { value: at, lang: has(nameOf(each)) ? null : "en" }, title(each)));
  const choice = el("select", {}, options);
  const shownCall = el("div", { class: "stack" });
  const show = () => shownCall.replaceChildren(...snippets(calls[Number(choice.value)]));
  choice.addEventListener("change", show);
  show();
  return [field(t("try.call"), choice), shownCall];
}

/** Whether the caller may make a call, as its description says. */
function isFor({ security, description = "" }) {
  const { roles: own } = whoAmI();
  return security.length === 0 || (description.match(/\b(login|enrol|monitor|admin)\b/g) ?? []).some((role) => own.includes(role));
}

function place({ operation }) {
  const order = ["identify", "verify_claim", "find_faces", "search_candidates", "put_employee", "list_employees"];
  const at = order.indexOf(operation.operationId);
  return at < 0 ? order.length : at;
}

function nameOf({ operation }) {
  return `call.${operation.operationId}`;
}

function title(each) {
  return has(nameOf(each)) ? t(nameOf(each)) : each.operation.summary;
}

function snippets({ path, method, operation }) {
  const { keys_required: isKeyed } = whoAmI();
  const sent = example(path, operation, isKeyed);
  const told = [isKeyed && sent.isKeyed ? t("try.key") : null, sent.form ? t("try.files") : null];
  const block = (name, text) => {
    const source = el("pre", { tabindex: "0", "aria-label": name }, text);
    return el("div", { class: "stack" }, el("div", { class: "top" }, el("h2", {}, name), copyButton(t("try.copy", { name }), source)), source);
  };
  return [
    el("p", { class: "muted" }, el("code", {}, `${method} ${path}`), told.map((each) => each && [" – ", each])),
    block("curl", curl(ROOT, method, sent)),
    block("Python", python(ROOT, method, sent)),
  ];
}
