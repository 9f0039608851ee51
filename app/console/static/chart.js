// A chart of shares of strangers against α, drawn as SVG; a table beside it says the same.

import { percent } from "./parts.js";
import { number, t } from "./strings.js";
import { newId, svg } from "./ui.js";

const WIDTH = 480;
const HEIGHT = 320;
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 8, 32, 56];

/** points: {threshold, estimate, low, high}, by ascending threshold. inForce: α. most: MAX_FPIR. */
export function fpirChart(points, inForce, most) {
  const [first, last] = [points[0].threshold, points.at(-1).threshold];
  const top = niceTop(Math.max(most * 1.5, ...points.map((point) => point.high)));
  const x = (threshold) => LEFT + ((threshold - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (share) => HEIGHT - BOTTOM - (share / top) * (HEIGHT - TOP - BOTTOM);
  const at = (threshold, share) => `${x(threshold).toFixed(1)},${y(share).toFixed(1)}`;
  const band = [...points.map((point) => at(point.threshold, point.high)), ...points.toReversed().map((point) => at(point.threshold, point.low))];
  const title = svg("title", { id: newId() }, t("health.chart"));
  const about = svg("desc", { id: newId() }, t("health.chart_about"));
  const words = (text, attributes) => svg("text", attributes, text);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * top);
  const steps = points.map((point) => point.threshold).filter((threshold) => Math.abs((threshold * 20) % 1) < 1e-6 || Math.abs((threshold * 20) % 1) > 1 - 1e-6);
  return svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-labelledby": `${title.id} ${about.id}` },
    title,
    about,
    ticks.map((share) => [
      svg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share) }),
      words(percent(share), { x: LEFT - 8, y: y(share) + 5, "text-anchor": "end" }),
    ]),
    steps.map((threshold) => words(number(threshold, { minimumFractionDigits: 2 }), { x: x(threshold), y: HEIGHT - BOTTOM + 24, "text-anchor": anchor(threshold, first, last) })),
    words(t("health.axis"), { class: "axis", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }),
    svg("polygon", { class: "band", points: band.join(" ") }),
    svg("polyline", { class: "curve", points: points.map((point) => at(point.threshold, point.estimate)).join(" ") }),
    svg("line", { class: "most", x1: LEFT, x2: WIDTH - RIGHT, y1: y(most), y2: y(most) }),
    words(t("health.most", { share: percent(most) }), { class: "most", x: LEFT + 8, y: y(most) - 6 }),
    inForce < first || inForce > last
      ? null
      : [
          svg("line", { class: "inforce", x1: x(inForce), x2: x(inForce), y1: TOP, y2: HEIGHT - BOTTOM }),
          words(t("health.in_force", { threshold: number(inForce) }), { class: "inforce", x: x(inForce), y: TOP - 10, "text-anchor": anchor(inForce, first, last) }),
        ],
    points.map((point) => svg("circle", { class: "curve", cx: x(point.threshold), cy: y(point.estimate), r: 4 })),
  );
}

function anchor(threshold, first, last) {
  if (threshold === first) return "start";
  return threshold === last ? "end" : "middle";
}

/** The next of 1, 2, 4 or 8 times a power of ten, at most 1. */
function niceTop(highest) {
  const power = 10 ** Math.floor(Math.log10(highest));
  return Math.min(1, [1, 2, 4, 8, 10].find((step) => step * power >= highest) * power);
}
