// Enrol and log in with the webcam, or with a photo.

import { may, whoAmI } from "../access.js";
import { call } from "../api.js";
import { enrol } from "../enrolment.js";
import { film } from "../film.js";
import { Stage } from "../stage.js";
import { button, card, confirmed, el, field, focused, message, problemMessage, tick } from "../ui.js";
import { explain, fullName, isolated, t } from "../strings.js";
import { verdict } from "../verdict.js";

export const id = "start";
export const roles = ["login", "enrol"];

const ALIKE = 0.2; // the share of α that may lie between two enrolments of one person

export function render(root, signal) {
  const stage = new Stage(signal);
  const parts = [];
  if (may("enrol")) parts.push(enrolment(stage, signal));
  if (may("login")) parts.push(login(stage, signal));
  root.append(
    el("div", { class: "heading" }, el("h1", {}, t("start.heading")), el("p", { class: "lead" }, t(may("enrol") ? "start.lead" : "start.lead_login"))),
    el("div", { class: "booth" }, stage.element, el("div", { class: "stack steps" }, parts)),
  );
}

/** The card that enrols a person. */
function enrolment(stage, signal) {
  const name = el("input", { maxlength: "200", autocomplete: "off", required: true });
  const surname = el("input", { maxlength: "200", autocomplete: "off" });
  const number = el("input", { inputmode: "numeric", pattern: "0|[1-9][0-9]{0,14}", autocomplete: "off" });
  const result = el("div", { class: "stack" });
  const submit = el("button", { class: "primary", disabled: true }, t("enrol.action"));
  const again = button(t("enrol.again"), restart, { hidden: true });
  const why = stage.enables(submit);
  stage.onReady(() => {
    // On a phone, a keyboard would cover the picture.
    if (!name.value && matchMedia("(pointer: fine)").matches) name.focus();
  });
  number.addEventListener("invalid", () => (more.open = true));

  function restart() {
    for (const input of [name, surname, number]) input.value = "";
    show(false);
    result.replaceChildren();
    name.focus();
  }

  function show(isDone) {
    submit.hidden = isDone;
    again.hidden = !isDone;
  }

  async function send(event) {
    event.preventDefault();
    if (submit.hidden || submit.disabled) return; // the Enter key in a field
    await stage.busy(async () => {
      result.replaceChildren();
      try {
        const person = { number: number.value, name: name.value, surname: surname.value, photos: [await stage.photo()] };
        result.replaceChildren(enrolled(await enrol(person, signal), signal, () => show(false)));
        show(true);
      } catch (error) {
        if (!signal.aborted) result.replaceChildren(problemMessage(error));
      }
    });
  }

  const more = el("details", {}, el("summary", {}, t("enrol.more")), field(t("enrol.number"), number, t("enrol.number_hint")));
  return card(
    el(
      "form",
      { class: "stack", onsubmit: send },
      el("h2", {}, t("enrol.title")),
      el("div", { class: "pair" }, field(t("enrol.name"), name), field(t("enrol.surname"), surname)),
      more,
      el("div", { class: "stack" }, submit, again, why),
    ),
    result,
  );
}

/** What a person who has been enrolled sees. onRemoved: called when that is undone. */
function enrolled({ employee_id: employeeId, ...person }, signal, onRemoved) {
  const who = isolated(fullName(person));
  const said = message("good", t(may("login") ? "enrol.done" : "enrol.done_only", { name: who }), el("p", { class: "small" }, t("enrol.done_number", { number: employeeId })));
  if (may()) said.append(button(t("enrol.delete"), remove, { kind: "quiet", symbol: "trash" }));

  async function remove() {
    if (!(await confirmed(t("enrol.delete"), t("enrol.delete_sure", { name: who }), t("enrol.delete")))) return;
    try {
      await call("DELETE", `api/v2/employees/${employeeId}`, { signal });
      const gone = message("info", t("enrol.deleted", { name: who }));
      said.replaceWith(gone);
      focused(gone);
      onRemoved();
    } catch (error) {
      if (!signal.aborted) said.append(el("p", { role: "alert" }, explain(error)));
    }
  }
  return said;
}

/** The card that logs a person in. */
function login(stage, signal) {
  const challenge = tick(t("check.challenge"), { hint: t("login.challenge_hint") });
  const ticks = { challenge };
  for (const name of whoAmI().checks) ticks[name] = tick(t(`check.${name}`), { hint: t(`login.${name}_hint`) });
  const boxes = Object.fromEntries(Object.entries(ticks).map(([name, label]) => [name, label.querySelector("input")]));
  const result = el("div", { class: "stack" });
  const submit = button(t("login.action"), logIn, { kind: "primary", disabled: true });
  const why = stage.enables(submit);

  async function logIn() {
    const asked = Object.keys(boxes).filter((name) => boxes[name].checked);
    if (asked.length && !stage.isLive) {
      result.replaceChildren(message("warn", t("login.needs_camera")));
      return;
    }
    await stage.busy(async () => {
      result.replaceChildren();
      try {
        const said = verdict(await attempt(stage, asked, signal));
        result.replaceChildren(said);
        focused(said);
      } catch (error) {
        if (!signal.aborted) result.replaceChildren(problemMessage(error));
      }
      result.scrollIntoView({ block: "nearest" });
    });
  }

  return card(
    el("h2", {}, t("login.title")),
    el("details", {}, el("summary", {}, t("login.checks")), el("div", { class: "stack" }, Object.values(ticks))),
    submit,
    why,
    result,
  );
}

/** Try to log in. Return what `verdict` takes. Throws a Problem if the film cannot begin. */
async function attempt(stage, asked, signal) {
  const checks = asked.filter((name) => name !== "challenge");
  let session = { moves: [] };
  if (asked.includes("challenge")) session = (await call("POST", "api/v2/liveness-sessions", { signal })).data;
  const say = (...said) => stage.direct(...said);
  const shown = asked.length ? await film(stage.video, session.moves, say, signal) : { photo: await stage.photo(), frames: [] };
  stage.direct("asking", t("login.asking"));
  const form = { photo: shown.photo, frames: shown.frames, checks, session_id: session.session_id };
  const tried = call("POST", "api/v2/identifications", { form, signal }).then(
    ({ data }) => ({ match: data.match, problem: null }),
    (problem) => ({ match: null, problem }),
  );
  const { match, problem } = await tried;
  const found = await nearest(shown.photo, signal);
  const twice = problem?.code === "no_match" && found ? await enrolledTwice(found, signal) : null;
  return { match, problem, asked, nearest: found, twice };
}

/** Who is nearest, for those who may know; everybody else gets no distance and no score. */
async function nearest(photo, signal) {
  if (!may()) return null;
  return call("POST", "api/v2/candidates", { form: { photo, limit: 2 }, signal }).then(
    ({ data }) => data,
    () => null,
  );
}

/** The two nearest, the later one last, if they may be one person whom nothing tells apart; else null. */
async function enrolledTwice({ candidates: [one, two], threshold }, signal) {
  if (!two || two.distance >= threshold || two.distance - one.distance > ALIKE * threshold) return null;
  const read = ({ employee }) => call("GET", `api/v2/employees/${employee.employee_id}`, { signal });
  return Promise.all([one, two].map(read)).then(
    (answers) => answers.map(({ data }) => data).sort((a, b) => new Date(a.enrolled_at) - new Date(b.enrolled_at)),
    () => null,
  );
}
