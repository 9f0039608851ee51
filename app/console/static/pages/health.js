// How sure the gallery is: strangers let in, likely second ids, single samples, and a migration.

import { call } from "../api.js";
import { fpirChart } from "../chart.js";
import { bdi, facts, fill, heading, percent, personLink, point } from "../parts.js";
import { day, fullName, joined, number, t } from "../strings.js";
import { card, el, message, table } from "../ui.js";

export const id = "health";
export const roles = [];
export const aboutAll = true;

const FEWEST = 30; // people; with fewer, nothing can be said
const MOST_PAIRS = 100; // that are shown
const MANY_SINGLE = 0.1; // share of people with one sample from which to say something
const LEFT = 25; // people shown who are left in a migration

export function render(root, signal) {
  const found = el("div", { class: "page" });
  root.append(heading(t("health.title"), t("health.lead")), found);
  fill(found, signal, () => ask(signal), shown);
}

async function ask(signal) {
  const [gallery, system] = await Promise.all(["gallery", "system"].map((path) => call("GET", `api/v2/${path}`, { signal })));
  const second = system.data.second_model ?? null;
  let left = null;
  if (second) left = (await call("GET", "api/v2/employees", { query: { second_model: "missing", limit: LEFT }, signal })).data;
  return { measured: gallery.data.measurement, system: system.data, second, left };
}

function shown({ measured, system, second, left }) {
  const migration = second ? migrationCard(second, left, system) : null;
  if (!measured) return [message("info", t("health.unmeasured")), migration];
  return [
    el("div", { class: "grid" }, numbers(measured, system), adviceCard(measured, second, left)),
    migration,
    measured.with_one_vector ? singles(measured) : null,
    measured.fpir_by_threshold.length ? strangers(measured) : null,
    measured.same_person.length ? pairs(measured.same_person) : null,
  ];
}

function numbers(measured, system) {
  const { employees, fpir } = measured;
  const single = measured.with_one_vector;
  return card(
    el("h2", {}, t("health.numbers")),
    facts([
      [t("health.people"), number(employees)],
      [t("health.single"), employees ? t("health.of_all", { count: number(single), share: percent(single / employees) }) : number(single)],
      [t("health.pairs"), number(measured.likely_under_two_ids)],
      [t("health.alpha"), number(measured.threshold)],
      [t("health.fpir"), fpir ? interval(fpir) : t("health.unknown")],
      [t("health.allowed"), percent(measured.max_fpir)],
      [t("health.compared"), number(measured.compared)],
      [t("system.model"), system.model?.name],
    ]),
  );
}

function interval({ estimate, low, high }) {
  return t("health.interval", { estimate: percent(estimate), low: percent(low), high: percent(high) });
}

/** What follows from the numbers. */
function adviceCard(measured, second, left) {
  const { employees, fpir, auto } = measured;
  const said = [];
  const most = percent(measured.max_fpir);
  if (employees < FEWEST) said.push(point("warn", t("health.too_few", { fewest: number(FEWEST) })));
  else if (!fpir) said.push(point("warn", t("health.too_alike")));
  else if (fpir.estimate <= measured.max_fpir) said.push(point("good", t("health.few_strangers", { share: percent(fpir.estimate), most })));
  else {
    said.push(point("bad", t("health.many_strangers", { share: percent(fpir.estimate), most })));
    if (auto < measured.threshold) said.push(point("warn", t("health.lower", { threshold: number(auto) })));
  }
  if (employees && measured.with_one_vector / employees > MANY_SINGLE) {
    said.push(point("warn", t("health.second_photo", { count: number(measured.with_one_vector) })));
  }
  if (measured.same_person.length) said.push(point("warn", t("health.look_at_pairs", { count: number(measured.likely_under_two_ids) })));
  else if (fpir) said.push(point("good", t("health.no_pairs")));
  if (second && left.total) said.push(point("warn", t("health.migrate_on", { count: number(left.total), model: second.name })));
  return card(el("h2", {}, t("health.advice")), el("ul", { class: "points" }, said));
}

function singles({ with_one_vector: all, first_with_one_vector: first }) {
  const rest = all - first.length;
  return card(
    el("h2", {}, t("health.single")),
    el("p", { class: "muted" }, t("health.single_about")),
    el("p", { class: "row number" }, first.map((each) => personLink(each))),
    rest > 0 ? el("p", {}, t("health.more_left", { count: number(rest) })) : null,
  );
}

function strangers(measured) {
  const { fpir_by_threshold: points, threshold, auto, max_fpir: most } = measured;
  const notes = (each) => joined([each === threshold ? t("health.note_in_force") : "", each === auto ? t("health.note_auto") : ""], ", ");
  const row = (each) => [number(each.threshold, { minimumFractionDigits: 2 }), percent(each.estimate), joined([percent(each.low), percent(each.high)], " – "), notes(each.threshold)];
  const head = [t("health.alpha_short"), t("health.share"), t("health.range"), t("health.note")];
  return card(
    el("h2", {}, t("health.strangers")),
    el("p", { class: "muted" }, t("health.strangers_about")),
    el("div", { class: "grid wide" }, fpirChart(points, threshold, most), table(t("health.strangers"), head, points.map(row))),
  );
}

function pairs(same) {
  const row = ({ one, other, distance }) => [personLink(one), personLink(other), el("span", { class: "number" }, number(distance, { maximumFractionDigits: 3 }))];
  const rest = same.length - MOST_PAIRS;
  return card(
    el("h2", {}, t("health.pairs")),
    el("p", { class: "muted" }, t("health.pairs_about")),
    table(t("health.pairs"), [t("health.one"), t("health.other"), t("health.distance")], same.slice(0, MOST_PAIRS).map(row)),
    rest > 0 ? el("p", {}, t("health.more_pairs", { count: number(rest) })) : null,
  );
}

/** How far the change to another model has come. */
function migrationCard(second, left, system) {
  const row = (person) => [personLink(person.employee_id, bdi(fullName(person))), el("span", { class: "number" }, String(person.employee_id))];
  const all = second.enrolled + left.total;
  return card(
    el("h2", {}, t("health.migration", { model: second.name })),
    el("progress", { max: all || 1, value: all ? second.enrolled : 1, "aria-label": t("health.migration", { model: second.name }) }),
    facts([
      [t("health.running"), system.model?.name],
      [t("health.enrolled"), t("health.of_all", { count: number(second.enrolled), share: percent(all ? second.enrolled / all : 1) })],
      [t("health.left"), number(left.total)],
      [t("health.until"), second.until ? day(second.until) : null],
    ]),
    left.total ? table(t("health.left"), [t("people.name"), t("people.number")], left.employees.map(row)) : message("good", t("health.nobody_left")),
    left.total > left.employees.length ? el("p", {}, t("health.more_left", { count: number(left.total - left.employees.length) })) : null,
  );
}
