// What runs here, in what state, and within which limits.

import { outcome } from "../attempts.js";
import { call } from "../api.js";
import { figures } from "../figures.js";
import { badge, bdi, facts, fill, heading } from "../parts.js";
import { number, t } from "../strings.js";
import { button, card, el, message, table } from "../ui.js";

export const id = "system";
export const roles = [];

const KINDS = { ok: "good", off: "", failing: "bad", unknown: "warn" };

export function render(root, signal) {
  const found = el("div", { class: "page" });
  const show = () => fill(found, signal, () => ask(signal), shown);
  root.append(heading(t("system.title"), t("system.lead"), button(t("parts.refresh"), show)), found);
  show();
}

async function ask(signal) {
  const [system, metrics] = await Promise.all([call("GET", "api/v2/system", { signal }), call("GET", "metrics", { signal, isText: true })]);
  return { system: system.data, glance: figures(metrics.data) };
}

function shown({ system, glance }) {
  return [
    system.is_ready ? message("good", t("system.ready")) : message("bad", t("system.not_ready")),
    el("div", { class: "grid wide" }, running(system), ready(system.parts), glimpse(glance), load(system.load)),
    limits(system.limits),
  ];
}

function running(system) {
  const { model } = system;
  return card(
    el("h2", {}, t("system.running")),
    facts([
      [t("system.version"), system.version],
      [t("system.model"), model ? t("system.model_of", { name: model.name, dimension: number(model.dimension) }) : t("system.loading")],
      [t("system.licence"), model ? (model.licence ?? t("system.own_licence")) : null],
      [t("system.device"), model?.device],
      [t("system.store"), bdi(system.store)],
      [t("system.index"), t(`system.index_${system.index}`)],
      [t("system.workers"), number(system.workers)],
      [t("system.people"), system.employees === null ? t("system.loading") : number(system.employees)],
      [t("health.alpha"), number(system.threshold)],
    ]),
  );
}

function ready(parts) {
  const row = ([name, { state, age_s: seconds }]) =>
    el("li", {}, el("span", {}, t(`part.${name}`)), badge(KINDS[state], t(`state.${state}`)), el("span", { class: "muted small" }, t("system.since", { time: lasted(seconds) })));
  return card(el("h2", {}, t("system.parts")), el("ul", { class: "states" }, Object.entries(parts).map(row)));
}

/** So many seconds in the largest unit that fits. */
function lasted(seconds) {
  const [unit, length] = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]].find(([, each]) => seconds >= each) ?? ["second", 1];
  return number(Math.floor(seconds / length), { style: "unit", unit, unitDisplay: "long" });
}

function glimpse({ requests, failures, loginSeconds, outcomes }) {
  const mean = loginSeconds === null ? t("system.none") : number(loginSeconds * 1000, { style: "unit", unit: "millisecond", maximumSignificantDigits: 2 });
  const logins = outcomes.map(([code, count]) => [outcome({ outcome: code === "match" ? "ok" : code }), number(count)]);
  return card(
    el("h2", {}, t("system.glance")),
    facts([
      [t("system.requests"), number(requests)],
      [t("system.failures"), number(failures)],
      [t("system.mean"), mean],
    ]),
    el("h3", {}, t("system.logins")),
    logins.length ? facts(logins) : el("p", { class: "muted" }, t("system.none")),
  );
}

function load(levels) {
  const of = (used, all, show = (name) => number(levels[name])) => t("system.of", { used: show(used), all: show(all) });
  const megabytes = (name) => number(levels[name] / 1e6, { style: "unit", unit: "megabyte", maximumFractionDigits: 0 });
  return card(
    el("h2", {}, t("system.load")),
    facts([
      [t("load.request_slots"), of("request_slots_used", "request_slots")],
      [t("load.picture_slots"), of("picture_slots_used", "picture_slots")],
      [t("load.pictures_waiting"), number(levels.pictures_waiting)],
      [t("load.body_bytes"), of("body_bytes", "body_bytes_limit", megabytes)],
      [t("load.liveness_breakers_open"), number(levels.liveness_breakers_open)],
    ]),
  );
}

function limits(said) {
  const value = (each) => (typeof each === "number" ? number(each, { maximumFractionDigits: 4 }) : String(each));
  const rows = Object.entries(said).map(([name, each]) => [el("code", {}, name.toUpperCase()), el("span", { class: "number" }, value(each))]);
  return card(el("h2", {}, t("system.limits")), el("p", { class: "muted" }, t("system.limits_about")), table(t("system.limits"), [t("system.setting"), t("system.value")], rows));
}
