// What came of a login, in words and on a scale.

import { el, icon, problemMessage } from "./ui.js";
import { distance, explain, fullName, isolated, joined, number, t } from "./strings.js";

const FARTHEST = 1.4; // the right end of the scale
const MOST_CERTAIN = 0.999999; // the score of whatever is nearer
const FEW = 0.1;
// What failed, by the problem's code. Any other problem says nothing of match and checks.
const FAILED = { no_match: "match", not_alive: "alive", fraud_suspected: "fraud" };

/**
 * Return the result of a login.
 *
 * match: the employee, or null. problem: why there is none. asked: names of the checks.
 * nearest: the answer of `candidates`, or null if the caller may not see it.
 * twice: two employees who may be one person, the later one last, or null.
 */
export function verdict({ match, problem, asked, nearest, twice }) {
  const isNo = problem && problem.code in FAILED;
  if (problem && !isNo) return problemMessage(problem);
  const name = match && isolated(fullName(match));
  return el(
    "div",
    { class: `verdict ${match ? "good" : "bad"}`, role: "status" },
    el(
      "div",
      { class: "headline" },
      el("span", { class: "seal" }, icon(match ? "check" : "cross")),
      el("h3", {}, match ? t("verdict.yes", { name }) : t("verdict.no")),
    ),
    problem ? el("p", {}, explain(problem)) : null,
    problem ? el("p", { class: "small muted" }, t("problem.own", problem)) : null,
    twice ? el("p", {}, alike(twice)) : null,
    nearest ? nearness(nearest) : null,
    checks(asked, problem?.code),
  );
}

function checks(asked, code) {
  const failed = FAILED[code];
  const state = (name) => {
    if (!code) return "passed";
    if (name === failed) return "failed";
    // The face is searched for when all checks have passed, but for copies of earlier photos.
    if (failed === "match" && name !== "fraud") return "passed";
    const isOneOfTwo = failed === "alive" && asked.includes("challenge") && asked.includes("liveness");
    if (failed === "alive" && (name === "challenge" || name === "liveness")) return isOneOfTwo ? "one" : "failed";
    return "open";
  };
  const symbols = { passed: "check", failed: "cross", one: "cross", open: "minus" };
  const row = (name) =>
    el("li", { class: state(name) }, icon(symbols[state(name)]), t(`check.${name}`), " ", el("span", {}, t(`check.${state(name)}`)));
  return el("ul", { class: "checks", "aria-label": t("check.title") }, ["match", ...asked].map(row));
}

/** That two employees have one face, and which of them to delete. */
function alike([one, two]) {
  const name = (employee) => isolated(fullName(employee));
  const [earlier, later] = [one.employee_id, two.employee_id];
  return t("login.twice", { one: earlier, first: name(one), two: later, second: name(two), later });
}

/** The nearest person's distance on a scale against α. */
function nearness({ candidates, threshold }) {
  const [nearest] = candidates;
  if (!nearest) return el("p", {}, t("verdict.nobody"));
  const said = t("verdict.distance", { distance: distance(nearest.distance), threshold: distance(threshold) });
  const scale = el(
    "div",
    { class: "scale", role: "img", "aria-label": said },
    el("span", { class: "near" }),
    el("span", { class: "limit" }, el("span", {}, "α ", distance(threshold))),
    el("span", { class: `mark ${nearest.distance < threshold ? "good" : "bad"}` }, el("span", {}, distance(nearest.distance))),
  );
  const place = (value) => `${(100 * Math.min(value, FARTHEST)) / FARTHEST}%`;
  scale.style.setProperty("--distance", place(nearest.distance));
  scale.style.setProperty("--limit", place(threshold));
  const words = joined([strangers(nearest.comparison_score), t("verdict.plain")], " ");
  return el(
    "figure",
    {},
    scale,
    el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, t("verdict.same")), el("span", {}, t("verdict.other"))),
    el("figcaption", { class: "small" }, el("p", {}, said), el("p", { class: "muted" }, words)),
  );
}

/** How many strangers come as near as a score says; "" if nobody knows. */
function strangers(score) {
  if (score === null) return "";
  if (score >= MOST_CERTAIN) return t("verdict.fewest", { count: number(1 / (1 - MOST_CERTAIN), { maximumSignificantDigits: 2 }) });
  const share = 1 - score;
  if (share >= FEW) return t("verdict.many", { share: number(share, { style: "percent" }) });
  return t("verdict.few", { count: number(1 / share, { maximumSignificantDigits: 2 }) });
}
