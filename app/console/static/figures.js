// What the metrics of Prometheus say at a glance.

const PREFIX = "image_registration_";
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const LOGINS = ["find_match", "identifications", "verifications"];

/** Return the samples of a text in Prometheus's format: {name, labels, value}. */
function samples(text) {
  return text
    .split("\n")
    .map((line) => line.match(LINE))
    .filter(Boolean)
    .map(([, name, labels = "", value]) => ({
      name: name.replace(PREFIX, ""),
      labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, label, text]) => [label, text])),
      value: Number(value),
    }));
}

/**
 * Return {requests, failures, loginSeconds, outcomes}: answers of all workers since they were
 * started, those with a status of 500 or more, the mean time of a login (null without any), and
 * logins by outcome, most frequent first.
 */
export function figures(text) {
  const all = samples(text);
  const sum = (name, wanted) => all.filter((each) => each.name === name && wanted(each.labels)).reduce((total, { value }) => total + value, 0);
  const isLogin = ({ endpoint }) => LOGINS.includes(endpoint);
  const count = sum("request_seconds_count", isLogin);
  return {
    requests: sum("requests_total", () => true),
    failures: sum("requests_total", ({ status }) => Number(status) >= 500),
    loginSeconds: count ? sum("request_seconds_sum", isLogin) / count : null,
    outcomes: all
      .filter(({ name, value }) => name === "logins_total" && value > 0)
      .map(({ labels, value }) => [labels.outcome, value])
      .sort(([, one], [, other]) => other - one),
  };
}
