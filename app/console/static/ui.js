// Elements and the few components that all pages share. Text is always text, never markup.

import { Words, explain, t } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  alert: "M12 8v5M12 16.5v.5M12 3l9.5 17h-19z",
  camera: "M4 8h3l2-3h6l2 3h3a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1zM12 17a4 4 0 1 0 0-8 4 4 0 0 0 0 8z",
  check: "M5 13l4 4L19 7",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  cross: "M6 6l12 12M18 6L6 18",
  down: "M12 4v11m-5-5l5 5 5-5M5 20h14",
  key: "M12 16a4 4 0 1 1-8 0 4 4 0 0 1 8 0zM11 13l9-9M16 8l3 3",
  minus: "M6 12h12",
  plus: "M12 5v14M5 12h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
};

const writing = new WeakMap(); // what writes the words of an element's attributes, or of a text

let lastId = 0;

/** An id that no other element has. */
export function newId() {
  return `id-${++lastId}`;
}

/**
 * Make an element. attributes: names and values; false, null and undefined are left out, and
 * functions named on… listen to events. children: elements, texts, or lists of them; null is left out.
 */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for an element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value instanceof Words) written(element, () => element.setAttribute(name, value));
    else element.setAttribute(name, value === true ? "" : value);
  }
  const shown = children.flat(Infinity).filter((child) => child !== null && child !== undefined);
  element.append(...shown.map((child) => (child instanceof Words ? textOf(child) : child)));
  return element;
}

function textOf(words) {
  const text = new Text();
  return written(text, () => (text.data = words));
}

/** Write words now, and again when the language changes. */
function written(node, write) {
  write();
  writing.set(node, [...(writing.get(node) ?? []), write]);
  return node;
}

/** Write all words below a node in the language of the moment; all else stays as it is. */
export function rewrite(root) {
  const nodes = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = root; node; node = nodes.nextNode()) {
    for (const write of writing.get(node) ?? []) write();
  }
}

/** Let an element say this and nothing else. */
export function say(element, text) {
  element.replaceChildren();
  filled(element, {}, [text]);
}

/** A drawing beside words that say the same. */
export function icon(name) {
  const drawn = svg("path", { d: ICONS[name] });
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, drawn);
}

/** A button. kind: primary, danger, quiet, or "" for a plain one. */
export function button(text, onclick, { kind = "", symbol, ...attributes } = {}) {
  const drawn = symbol ? icon(symbol) : null;
  return el("button", { type: "button", class: kind, onclick, ...attributes }, drawn, text);
}

/** Let screen readers and the keyboard go on from an element that just came. */
export function focused(element) {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
  return element;
}

/** A box for one thing. */
export function card(...children) {
  return el("section", { class: "card" }, children);
}

/** A sentence that people must see. kind: info, good, bad or warn. children: below the sentence. */
export function message(kind, text, ...children) {
  const role = kind === "bad" ? "alert" : "status";
  return el("div", { class: `message ${kind}`, role }, el("p", {}, text), children);
}

/** The message of a Problem, with the service's own sentence below ours. */
export function problemMessage(error, kind = "bad") {
  const own = error.title ? el("p", { class: "small" }, t("problem.own", error)) : null;
  const said = message(kind, explain(error), own);
  said.dataset.code = error.code;
  return said;
}

/** A labelled control. hint: a sentence below it. */
export function field(label, control, hint) {
  control.id ||= newId();
  const below = hint ? el("p", { class: "hint", id: newId() }, hint) : null;
  if (below) control.setAttribute("aria-describedby", below.id);
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, below);
}

/** A labelled box to tick. */
export function tick(label, { hint, ...attributes } = {}) {
  const control = el("input", { type: "checkbox", id: newId(), ...attributes });
  const below = hint ? el("span", { class: "hint" }, hint) : null;
  return el("label", { class: "tick", for: control.id }, control, el("span", {}, label, below));
}

/** A table that scrolls by itself. head: texts. rows: lists of texts or elements. */
export function table(caption, head, rows) {
  const cells = (row) => row.map((cell) => el("td", {}, cell));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", { class: "hidden" }, caption),
      el("thead", {}, el("tr", {}, head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, cells(row)))),
    ),
  );
}

/**
 * Show a dialog. Return what the person chose: the value of the button that closed it, "" for none.
 *
 * actions: buttons. A button with a value closes it; so does Escape. onsubmit: called with the event
 * when a button of type submit is pressed; call close(value) of the dialog then.
 */
export function dialog(title, content, actions, onsubmit = () => {}) {
  const heading = el("h2", { id: newId() }, title);
  const form = el("form", { method: "dialog" }, heading, content, el("div", { class: "actions" }, actions));
  const shown = el("dialog", { "aria-labelledby": heading.id }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onsubmit(event, shown);
  });
  for (const action of actions) {
    if (action.value) action.addEventListener("click", () => shown.close(action.value));
  }
  document.body.append(shown);
  shown.showModal();
  return new Promise((resolve) => {
    shown.addEventListener("close", () => {
      shown.remove();
      resolve(shown.returnValue);
    });
  });
}

/** Ask whether to go on. Return whether the person wants to. */
export async function confirmed(title, text, action, kind = "danger") {
  const actions = [
    button(t("action.cancel"), () => {}, { value: "no" }),
    button(action, () => {}, { kind, value: "yes" }),
  ];
  return (await dialog(title, el("p", {}, text), actions)) === "yes";
}
