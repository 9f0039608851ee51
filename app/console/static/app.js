// The frame: navigation, language, key, and a line that says when the service is away.

import { learn, may, whoAmI } from "./access.js";
import { onAway, pause, useKey } from "./api.js";
import { askForKey } from "./keys.js";
import { pages } from "./pages.js";
import { joined, language, languages, load, preferred, t } from "./strings.js";
import { button, el, message, problemMessage, rewrite } from "./ui.js";

const REFUSED = [401, 403];
const RETRY_S = 5;
const PASSING = "[data-code=away], [data-code=not_ready]"; // messages that are wrong once it is back

const header = el("header");
const notice = el("div", { id: "notice" });
const main = el("main", { id: "main", tabindex: "-1" });
const footer = el("footer");
let leaving = new AbortController();
let hasArrived = false;

function visible() {
  const isBound = whoAmI().groups !== null;
  return pages.filter((page) => may(...page.roles) && !(page.aboutAll && isBound));
}

function current() {
  const wanted = location.hash.slice(1).split("?")[0];
  return visible().find((page) => page.id === wanted) ?? visible()[0];
}

function renderHeader() {
  const page = current();
  const links = visible().map(({ id }) =>
    el("a", { href: `#${id}`, "aria-current": id === page?.id && "page" }, t(`${id}.title`)),
  );
  const select = el(
    "select",
    { "aria-label": t("frame.language"), onchange: () => speak(select.value) },
    languages.map(([code, name]) => el("option", { value: code, lang: code, selected: code === language }, name)),
  );
  header.replaceChildren(
    el("a", { class: "skip", href: "#main", onclick: skip }, t("frame.skip")),
    el("a", { class: "brand", href: "#start" }, el("img", { src: "icon.svg", alt: "" }), el("span", {}, t("frame.name"))),
    el("nav", { "aria-label": t("frame.navigation") }, links),
    el("div", { class: "tools" }, keyTools(), select),
  );
  header.querySelector("nav").scrollLeft = (header.querySelector("[aria-current]")?.offsetLeft ?? 0) - header.clientWidth / 2;
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

function keyTools() {
  const me = whoAmI();
  if (!me.keys_required) return null;
  if (me.key_id === null) return button(t("keys.enter"), enterKey, { kind: "quiet", symbol: "key" });
  return button(t("keys.forget"), forgetKey, { kind: "quiet", symbol: "key" });
}

function renderPage() {
  leaving.abort();
  leaving = new AbortController();
  renderHeader();
  renderFooter();
  entitle();
  const page = current();
  const root = el("div", { class: "page" });
  main.replaceChildren(root);
  if (page) page.render(root, leaving.signal);
  else root.append(welcome());
}

function entitle() {
  const page = current();
  document.title = joined([page ? t(`${page.id}.title`) : "", t("frame.name")], " · ");
}

function renderFooter() {
  const { keys_required: isLocked, key_id: key, roles } = whoAmI();
  const said = key ? t("frame.key", { id: key, roles: roles.join(", ") }) : isLocked ? "" : t("frame.open");
  footer.replaceChildren(el("span", {}, said), el("a", { href: "../docs" }, t("frame.docs")));
}

/** What callers without any role see. */
function welcome() {
  const { key_id: id } = whoAmI();
  const text = id === null ? t("keys.needed") : t("keys.useless");
  const enter = button(t("keys.enter"), enterKey, { kind: "primary", symbol: "key" });
  return el("section", { class: "card narrow" }, el("h1", {}, t("frame.name")), el("p", {}, text), enter);
}

async function enterKey() {
  if (await askForKey()) renderPage();
}

async function forgetKey() {
  useKey(null);
  leaving.abort();
  await arrive();
}

/** Say all in another language. What was typed, the camera and whatever is going on stay. */
async function speak(code) {
  await load(code).catch(() => notice.replaceChildren(message("warn", t("problem.away"))));
  rewrite(document.body);
  entitle();
  header.querySelector("select").value = language;
}

/** Learn what the caller may do, as soon as the service can tell, and show the page. */
async function arrive() {
  hasArrived = false;
  main.replaceChildren(el("p", { class: "loading", role: "status" }, t("frame.loading")));
  for (;;) {
    try {
      await learn();
      break;
    } catch (error) {
      if (error.status === 0 || error.code === "not_ready") return; // arrives again when the service is back
      if (REFUSED.includes(error.status)) break;
      notice.replaceChildren(problemMessage(error, "warn"));
      await pause(1000 * (error.retryAfterS ?? RETRY_S));
    }
  }
  notice.replaceChildren();
  hasArrived = true;
  renderPage();
}

/** Show another page from its top. */
function turn() {
  renderPage();
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

onAway((problem) => {
  if (problem === null) {
    notice.replaceChildren();
    for (const said of main.querySelectorAll(PASSING)) said.remove();
    if (!hasArrived) arrive();
    return;
  }
  notice.replaceChildren(message("warn", t(problem.status === 0 ? "frame.away" : "frame.not_ready")));
});

window.addEventListener("hashchange", turn);
await load(preferred()).catch(() => load("en"));
entitle();
document.body.replaceChildren(header, notice, main, footer);
await arrive();
