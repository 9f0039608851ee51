// One person: what is stored, and how to change it without undoing what others did meanwhile.

import { may } from "../access.js";
import { call } from "../api.js";
import { badge, bdi, facts, filesButton, fill, heading, linkButton, when } from "../parts.js";
import { explain, fullName, isolated, t } from "../strings.js";
import { button, card, confirmed, el, field, message, problemMessage, table } from "../ui.js";
import { groupsOf } from "./groups.js";

const CHANGED = 412; // by somebody else
const WHOLE = /^(0|[1-9][0-9]{0,18})$/;

export function renderPerson(root, id, signal) {
  const said = el("div", { class: "stack" });
  const shown = el("div", { class: "page" });
  root.append(said, shown);
  if (WHOLE.test(id)) new Person(id, said, shown, signal).show();
  else shown.append(message("bad", t("people.no_number")), back());
}

function back() {
  return el("p", {}, linkButton(t("people.back"), "#people"));
}

class Person {
  constructor(id, said, shown, signal) {
    Object.assign(this, { id, said, shown, signal });
    this.path = `api/v2/employees/${id}`;
  }

  /** Show the person as they are stored now. */
  async show() {
    await fill(this.shown, this.signal, () => call("GET", this.path, { signal: this.signal }), (answer) => this.#parts(answer));
  }

  #parts({ data, headers }) {
    if (String(data.employee_id) !== this.id) return message("bad", t("people.no_number"));
    this.etag = headers.get("ETag");
    this.name = isolated(fullName(data));
    return [
      heading(bdi(fullName(data)), t("people.about", { number: this.id }), linkButton(t("people.back"), "#people")),
      el("div", { class: "grid" }, this.#stored(data), this.#details(data)),
      this.#samples(data),
      may() ? this.#whole() : null,
    ];
  }

  /**
   * Make a call that changes the person, if nobody else has since they were shown. Show what is
   * stored now, and say what came of it. Return whether it was done.
   */
  async #change(method, path, options, done) {
    this.said.replaceChildren();
    try {
      await call(method, path, { ...options, headers: { "If-Match": this.etag }, signal: this.signal });
    } catch (error) {
      if (this.signal.aborted) return false;
      const isLate = error.status === CHANGED;
      this.said.replaceChildren(isLate ? message("warn", t("people.changed_meanwhile")) : problemMessage(error));
      if (isLate) await this.show();
      this.said.scrollIntoView({ block: "nearest" });
      return false;
    }
    this.said.replaceChildren(message("good", done));
    return true;
  }

  #stored(data) {
    const metadata = Object.keys(data.metadata).length ? el("pre", {}, JSON.stringify(data.metadata, null, 2)) : null;
    return card(
      el("h2", {}, t("people.stored")),
      facts([
        [t("people.number"), this.id],
        [t("people.external_id"), data.external_id && bdi(data.external_id)],
        [t("people.groups"), data.groups.length ? el("span", { class: "badges" }, data.groups.map((group) => badge("", group))) : null],
        [t("people.enrolled"), when(data.enrolled_at)],
        [t("people.changed"), when(data.updated_at)],
        [t("people.model"), data.model],
        [t("people.metadata"), metadata],
      ]),
    );
  }

  #details(data) {
    const name = el("input", { maxlength: "200", autocomplete: "off", required: true, value: data.name });
    const surname = el("input", { maxlength: "200", autocomplete: "off", value: data.surname });
    const groups = el("input", { autocomplete: "off", value: data.groups.join(", ") });
    const save = async (event) => {
      event.preventDefault();
      const json = { name: name.value.trim(), surname: surname.value.trim(), groups: groupsOf(groups.value) };
      if (await this.#change("PATCH", this.path, { json }, t("people.saved"))) await this.show();
    };
    return card(
      el(
        "form",
        { class: "stack", onsubmit: save },
        el("h2", {}, t("people.change")),
        field(t("enrol.name"), name),
        field(t("enrol.surname"), surname),
        field(t("people.groups"), groups, t("people.groups_hint")),
        el("div", { class: "actions" }, el("button", {}, t("people.save"))),
      ),
    );
  }

  #samples({ samples }) {
    const row = (sample, at) => [
      when(sample.enrolled_at),
      t(`people.source_${sample.quality ?? sample.source ?? "unknown"}`),
      button(t("people.remove_sample"), () => this.#removeSample(sample.sample_id), {
        kind: "quiet",
        symbol: "trash",
        "aria-label": t("people.remove_sample_number", { number: at + 1 }),
      }),
    ];
    const head = [t("people.added"), t("people.source"), t("people.action")];
    return card(
      el("h2", {}, t("people.samples")),
      el("p", { class: "muted" }, t("people.no_photos_kept")),
      table(t("people.samples"), head, samples.map(row)),
      samples.every(({ quality }) => quality === "fair") ? el("p", {}, t("people.better_photo")) : null,
      el("div", { class: "row" }, filesButton(t("people.add_sample"), ([photo]) => this.#addSample(photo), { symbol: "plus" })),
    );
  }

  async #addSample(photo) {
    const options = { form: { photo } };
    if (await this.#change("POST", `${this.path}/samples`, options, t("people.sample_added"))) await this.show();
  }

  async #removeSample(sample) {
    if (!(await confirmed(t("people.remove_sample"), t("people.remove_sample_sure"), t("people.remove_sample")))) return;
    if (await this.#change("DELETE", `${this.path}/samples/${sample}`, {}, t("people.sample_removed"))) await this.show();
  }

  /** What concerns all that is stored: for administrators. */
  #whole() {
    return card(
      el("h2", {}, t("people.whole")),
      el("p", { class: "muted" }, t("people.whole_about")),
      el(
        "div",
        { class: "row" },
        button(t("people.export"), () => this.#export(), { symbol: "down" }),
        button(t("people.remove"), () => this.#remove(), { kind: "danger", symbol: "trash" }),
      ),
    );
  }

  async #export() {
    try {
      const { data } = await call("GET", `api/employees/${this.id}/export`, { signal: this.signal, isText: true });
      const address = URL.createObjectURL(new Blob([data], { type: "application/json" }));
      el("a", { href: address, download: `employee-${this.id}.json` }).click();
      URL.revokeObjectURL(address);
    } catch (error) {
      if (!this.signal.aborted) this.said.replaceChildren(message("bad", explain(error)));
    }
  }

  async #remove() {
    if (!(await confirmed(t("people.remove"), t("enrol.delete_sure", { name: this.name }), t("people.remove")))) return;
    if (!(await this.#change("DELETE", this.path, {}, t("people.removed", { name: this.name })))) return;
    this.shown.replaceChildren(back());
  }
}
