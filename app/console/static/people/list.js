// The table of everybody who is enrolled, page by page.

import { call } from "../api.js";
import { badge, bdi, fill, heading, linkButton, personLink, when } from "../parts.js";
import { fullName, number, t } from "../strings.js";
import { button, card, el, field, message, table } from "../ui.js";

const PAGE = 25;

// What was searched for, so that it is still there when a person comes back. cursors: of this page
// and those before it.
let search = { q: "", group: "", cursors: [null] };

export function renderList(root, signal) {
  const name = el("input", { type: "search", maxlength: "200", autocomplete: "off", value: search.q });
  const group = el("input", { type: "search", maxlength: "64", autocomplete: "off", value: search.group });
  const found = el("div", { class: "stack" });
  const show = () => fill(found, signal, () => ask(signal), (page) => pageOf(page, turn));

  function find(event) {
    event.preventDefault();
    search = { q: name.value.trim(), group: group.value.trim(), cursors: [null] };
    show();
  }
  async function turn(cursors) {
    search.cursors = cursors;
    await show();
    found.querySelector("[role=status]")?.scrollIntoView({ block: "nearest" });
    found.querySelector("a")?.focus();
  }
  const form = el(
    "form",
    { class: "search", role: "search", onsubmit: find },
    field(t("people.name"), name),
    field(t("people.group"), group),
    el("button", { class: "primary" }, t("people.find")),
  );
  root.append(
    heading(t("people.title"), t("people.lead"), linkButton(t("people.enrol"), "#people?enrol", "primary")),
    card(form, found),
  );
  show();
}

async function ask(signal) {
  const query = { limit: PAGE, q: search.q, group: search.group, cursor: search.cursors.at(-1) };
  return (await call("GET", "api/v2/employees", { query, signal })).data;
}

function pageOf({ employees, total, next_cursor: next }, turn) {
  const isSearch = search.q !== "" || search.group !== "";
  if (total === 0) return message("info", t(isSearch ? "people.none_found" : "people.nobody"));
  const before = search.cursors.slice(0, -1);
  const first = before.length * PAGE + 1;
  const count = t("people.count", { first: number(first), last: number(first + employees.length - 1), total: number(total) });
  return [
    el("p", { class: "muted number", role: "status" }, count),
    table(t("people.title"), [t("people.name"), t("people.number"), t("people.groups"), t("people.samples"), t("people.changed")], employees.map(row)),
    el(
      "nav",
      { class: "row", "aria-label": t("people.paging") },
      button(t("people.previous"), () => turn(before), { disabled: before.length === 0 }),
      button(t("people.next"), () => turn([...search.cursors, next]), { disabled: next === null }),
    ),
  ];
}

function row(person) {
  const { employee_id: id, groups, samples } = person;
  return [
    personLink(id, bdi(fullName(person))),
    el("span", { class: "number" }, String(id)),
    el("span", { class: "badges" }, groups.map((group) => badge("", group))),
    el("span", { class: "number" }, number(samples.length)),
    when(person.updated_at),
  ];
}
