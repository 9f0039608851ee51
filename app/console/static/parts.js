// What the pages for administrators share.

import { number, moment, t } from "./strings.js";
import { button, el, icon, problemMessage, say } from "./ui.js";

/** The head of a page. actions: links and buttons beside it. */
export function heading(title, lead, ...actions) {
  const words = el("div", { class: "heading" }, el("h1", {}, title), lead ? el("p", { class: "lead" }, lead) : null);
  return el("div", { class: "top" }, words, actions.length ? el("div", { class: "row" }, actions) : null);
}

/** Somebody's words, in their own direction. */
export function bdi(text) {
  return el("bdi", {}, text);
}

/** What the address says after the page's name. */
export function asked() {
  return new URLSearchParams(location.hash.split("?")[1] ?? "");
}

/** A link that looks like a button. */
export function linkButton(text, href, kind = "") {
  return el("a", { class: `button ${kind}`, href }, text);
}

/** A link to an employee; only the number if it is one that JavaScript has rounded. */
export function personLink(id, text) {
  const isExact = typeof id === "string" || Number.isSafeInteger(id);
  return isExact ? el("a", { href: `#people?id=${id}` }, text ?? String(id)) : el("span", {}, text ?? String(id));
}

/** Names and values; values are texts or elements, and null leaves the name out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "pairs" }, shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A moment, given as RFC 3339; a dash if nobody knows it. */
export function when(text) {
  return text ? el("time", { datetime: text }, moment(text)) : "–";
}

export function percent(share) {
  return number(share, { style: "percent", maximumSignificantDigits: 2 });
}

/** A word with a colour: good, bad, warn or "". */
export function badge(kind, text) {
  return el("span", { class: `badge ${kind}` }, text);
}

/**
 * Show in the element what ask() returns, as show(it) draws it; meanwhile that it is being asked, and
 * a problem with a button that asks again.
 */
export async function fill(element, signal, ask, show) {
  element.setAttribute("aria-busy", "true");
  if (element.childElementCount === 0) element.replaceChildren(el("p", { class: "muted" }, t("parts.asking")));
  try {
    const shown = show(await ask());
    if (!signal.aborted) element.replaceChildren(...[shown].flat(Infinity).filter(Boolean));
  } catch (error) {
    if (signal.aborted) return;
    const said = problemMessage(error);
    said.append(button(t("parts.again"), () => fill(element, signal, ask, show)));
    element.replaceChildren(said);
  } finally {
    element.setAttribute("aria-busy", "false");
  }
}

/** A button that copies a text; where the browser refuses, it marks the text to be copied by hand. */
export function copyButton(label, source) {
  const said = el("span", { class: "small muted", role: "status" });
  async function copy() {
    try {
      await navigator.clipboard.writeText(source.textContent);
      say(said, t("parts.copied"));
    } catch {
      getSelection().selectAllChildren(source);
      say(said, t("parts.marked"));
    }
  }
  return el("div", { class: "row" }, said, button(label, copy, { symbol: "copy" }));
}

/** A button that opens the browser's choice of files. isFolder: of a folder with all that is in it. */
export function filesButton(label, chosen, { isFolder = false, isMany = false, ...options } = {}) {
  const input = el("input", { type: "file", hidden: true, multiple: isMany, accept: isFolder ? null : "image/*", webkitdirectory: isFolder });
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) chosen(files);
  });
  return [button(label, () => input.click(), options), input];
}

/** A sentence with a mark before it. */
export function point(kind, ...children) {
  const symbols = { good: "check", warn: "alert", bad: "cross" };
  return el("li", { class: kind }, icon(symbols[kind]), el("span", {}, children));
}

