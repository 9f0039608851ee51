// Who tried to log in, what came of it, and why.

import { OUTCOMES, logins, outcome, reasons } from "../attempts.js";
import { badge, bdi, facts, fill, heading, personLink, when } from "../parts.js";
import { distance, t } from "../strings.js";
import { button, card, el, field, message, problemMessage, table } from "../ui.js";

export const id = "attempts";
export const roles = [];
export const aboutAll = true;

const PAGE = 25;

export function render(root, signal) {
  const choice = ["", ...OUTCOMES].map((code) => el("option", { value: code }, code ? outcome({ outcome: code }) : t("attempts.all")));
  const result = el("select", {}, choice);
  const person = el("input", { inputmode: "numeric", pattern: "[0-9]{1,18}", autocomplete: "off" });
  const found = el("div", { class: "stack" });

  function find(event) {
    event?.preventDefault();
    const query = { outcome: result.value, employee_id: person.value };
    fill(found, signal, () => logins(query, PAGE, signal), (first) => listed(first, query, signal));
  }
  const form = el(
    "form",
    { class: "search", onsubmit: find },
    field(t("attempts.result"), result),
    field(t("attempts.person"), person),
    el("button", { class: "primary" }, t("attempts.show")),
  );
  root.append(heading(t("attempts.title"), t("attempts.lead")), card(form, found));
  find();
}

function listed(first, query, signal) {
  const head = [t("attempts.result"), t("attempts.time"), t("attempts.person"), t("attempts.distance"), t("attempts.key")];
  const shown = table(t("attempts.title"), head, []);
  const rows = shown.querySelector("tbody");
  const fault = el("div", { class: "stack" });
  const none = message("info", t("attempts.none"));
  const older = button(t("attempts.older"), more);
  let { cursor } = first;

  function add(entries) {
    const before = rows.childElementCount;
    for (const entry of entries) rows.append(el("tr", {}, row(entry).map((cell) => el("td", {}, cell))));
    none.hidden = rows.childElementCount > 0;
    shown.hidden = !none.hidden;
    older.hidden = cursor === null;
    return rows.children[before];
  }
  async function more() {
    older.disabled = true;
    fault.replaceChildren();
    try {
      const next = await logins({ ...query, cursor }, PAGE, signal);
      ({ cursor } = next);
      const added = add(next.logins);
      const target = added?.querySelector("summary, a");
      if (older.hidden || target) (target ?? shown).focus();
    } catch (error) {
      if (!signal.aborted) fault.replaceChildren(problemMessage(error));
    }
    older.disabled = false;
  }
  add(first.logins);
  return [none, shown, fault, el("div", { class: "row" }, older)];
}

function row(entry) {
  const isIn = entry.outcome === "ok";
  const result = badge(isIn ? "good" : "bad", isIn && entry.action === "verify" ? t("attempts.verified") : outcome(entry));
  return [
    isIn ? result : [result, why(entry)],
    when(entry.time),
    typeof entry.employee_id === "number" || typeof entry.employee_id === "string" ? personLink(entry.employee_id) : "–",
    el("span", { class: "number" }, typeof entry.distance === "number" ? distance(entry.distance) : "–"),
    entry.key ? bdi(entry.key) : "–",
  ];
}

/** What was measured, what was needed, and what to do, in one click. */
function why(entry) {
  return el(
    "details",
    {},
    el("summary", {}, t("attempts.why")),
    el("div", { class: "stack small" }, reasons(entry).map((sentence) => el("p", {}, sentence))),
    facts([
      [t("attempts.kind"), t(`attempts.kind_${entry.action}`)],
      [t("attempts.model"), entry.model],
      [t("attempts.address"), entry.address],
      [t("attempts.request"), entry.request_id],
    ]),
  );
}
