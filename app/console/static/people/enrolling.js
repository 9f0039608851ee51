// Enrol people from folders and photos, one after another, and say what came of each.

import { whoAmI } from "../access.js";
import { pause } from "../api.js";
import { enrol } from "../enrolment.js";
import { badge, bdi, filesButton, heading, linkButton, personLink } from "../parts.js";
import { explain, fullName, number, t } from "../strings.js";
import { button, card, el, field, say } from "../ui.js";
import { groupsOf } from "./groups.js";
import { chosenFiles, droppedFiles, peopleIn } from "./folders.js";

const BUSY = [0, 429, 503]; // the service is away or asks to wait
const WAIT_S = 2;

export function renderEnrolling(root, signal) {
  const results = el("div", { class: "stack" });
  const run = (people, unclear = []) => enrolAll(results, people, unclear, signal);
  root.append(
    heading(t("enrolling.title"), t("enrolling.lead"), linkButton(t("people.back"), "#people")),
    el("div", { class: "grid" }, many(run), one(run)),
    results,
  );
}

/** The card that takes a folder for each person. */
function many(run) {
  const start = (files) => {
    const { people, unclear } = peopleIn(files);
    run(people, unclear);
  };
  const place = el(
    "div",
    { class: "drop" },
    el("p", {}, t("enrolling.drop")),
    el("div", { class: "row" }, filesButton(t("enrolling.folder"), (files) => start(chosenFiles(files)), { isFolder: true, kind: "primary" })),
  );
  const over = (event) => {
    event.preventDefault();
    place.classList.toggle("over", event.type === "dragover");
  };
  for (const kind of ["dragover", "dragleave"]) place.addEventListener(kind, over);
  place.addEventListener("drop", async (event) => {
    over(event);
    start(await droppedFiles(event.dataTransfer));
  });
  return card(
    el("h2", {}, t("enrolling.many")),
    el("p", {}, t("enrolling.many_how"), " ", el("code", {}, "17_Grace_Hopper")),
    place,
  );
}

/** The card that takes the photos of one person. */
function one(run) {
  const own = whoAmI().groups;
  const name = el("input", { maxlength: "200", autocomplete: "off", required: true });
  const surname = el("input", { maxlength: "200", autocomplete: "off" });
  const employee = el("input", { inputmode: "numeric", pattern: "[0-9]{1,18}", autocomplete: "off" });
  const groups = el("input", { autocomplete: "off", value: own ? own.join(", ") : "" });
  const photos = el("input", { type: "file", accept: "image/*", multiple: true, required: true });
  const submit = el("button", { class: "primary" }, t("enrolling.action"));
  async function send(event) {
    event.preventDefault();
    const person = { number: employee.value, name: name.value, surname: surname.value, groups: groupsOf(groups.value), photos: [...photos.files] };
    submit.disabled = true;
    if (await run([person])) event.target.reset();
    submit.disabled = false;
  }
  return card(
    el(
      "form",
      { class: "stack", onsubmit: send },
      el("h2", {}, t("enrolling.one")),
      el("div", { class: "pair" }, field(t("enrol.name"), name), field(t("enrol.surname"), surname)),
      field(t("enrol.number"), employee, t("enrol.number_hint")),
      field(t("people.groups"), groups, t("people.groups_hint")),
      field(t("enrolling.photos"), photos, t("enrolling.photos_hint")),
      submit,
    ),
  );
}

/** Enrol one person after another; a row tells of each. Return whether everybody is enrolled. */
async function enrolAll(results, people, unclear, signal) {
  const stopped = new AbortController();
  const ends = AbortSignal.any([signal, stopped.signal]);
  const all = people.length + unclear.length;
  const bar = el("progress", { max: all, value: 0, "aria-label": t("enrolling.progress") });
  const count = el("p", { role: "status" });
  const stop = button(t("enrolling.stop"), () => stopped.abort());
  const list = el("ol", { class: "outcomes" }, unclear.map(unclearRow));
  const running = el("div", { class: "row" }, bar, stop);
  results.prepend(card(el("h2", {}, t("enrolling.results")), running, count, list));
  count.scrollIntoView({ block: "nearest" });
  let done = unclear.length;
  const tally = { enrolled: 0, refused: unclear.length };
  const tell = () => {
    bar.value = done;
    say(count, t("enrolling.count", { done: number(done), all: number(all), enrolled: number(tally.enrolled), refused: number(tally.refused) }));
  };
  tell();
  for (const person of people) {
    const row = el("li", {}, nameOf(person), badge("", t("enrolling.sending", { photos: number(person.photos.length) })));
    list.append(row);
    const isEnrolled = await enrolOne(row, person, ends);
    if (ends.aborted) break;
    tally[isEnrolled ? "enrolled" : "refused"]++;
    done++;
    tell();
  }
  running.remove();
  if (stopped.signal.aborted) say(count, t("enrolling.stopped", { done: number(done), all: number(all) }));
  return tally.enrolled === people.length;
}

/** Enrol somebody, waiting while the service is busy. Return whether that was done. */
async function enrolOne(row, person, signal) {
  for (;;) {
    try {
      const answer = await enrol(person, signal);
      const used = person.photos.length - answer.refused.length;
      row.replaceChildren(personLink(answer.employee_id, bdi(fullName(answer))), badge("good", t("enrolling.enrolled", { photos: number(used) })));
      row.append(...answer.refused.map((each) => leftOut(person.photos[each.photo - 1], { code: each.code, title: each.detail })));
      return true;
    } catch (error) {
      if (signal.aborted) {
        row.replaceChildren(nameOf(person), badge("warn", t("enrolling.not_sent")));
        return false;
      }
      if (!BUSY.includes(error.status)) {
        row.replaceChildren(nameOf(person), badge("bad", t("enrolling.refused")), ...why(error));
        return false;
      }
      row.replaceChildren(nameOf(person), badge("warn", t("enrolling.waiting")));
      await pause(1000 * (error.retryAfterS ?? WAIT_S), signal).catch(() => {});
    }
  }
}

function nameOf(person) {
  return el("span", {}, person.number ? `${person.number} ` : "", bdi(fullName(person)));
}

/** Why nobody was enrolled: our words, and the service's own. */
function why(error) {
  const text = error.code === "precondition_failed" ? t("enrolling.taken") : explain(error);
  return [el("p", {}, text), el("p", { class: "small muted" }, t("problem.own", error))];
}

function leftOut(photo, refusal) {
  return el("p", {}, badge("warn", t("enrolling.left_out")), " ", bdi(photo.name), ": ", explain(refusal));
}

function unclearRow({ entry, reason }) {
  return el("li", {}, bdi(entry), badge("bad", t("enrolling.refused")), el("p", {}, t(`enrolling.unclear_${reason}`)));
}
