/* Lines over the last hour. */

import { find } from "./elements.js";
import { number, percent, text } from "./texts.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 100;
const HOUR = 3600;
// Where nobody has asked for longer than this, the line is broken.
const GAP_SECONDS = 180;

function element(name, attributes) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}

/* Return the path through the values; one that stands alone is a dot. */
function pathThrough(points, most, now) {
  let before = -Infinity;
  return points
    .map(([time, value]) => {
      const x = (WIDTH * (1 - (now - time) / HOUR)).toFixed(1);
      const y = (HEIGHT * (1 - value / most)).toFixed(1);
      const step = time - before > GAP_SECONDS ? `M${x} ${y}h0` : `L${x} ${y}`;
      before = time;
      return step;
    })
    .join("");
}

function draw(name, points, { most, format }) {
  const svg = find(`${name}-chart`);
  const newest = points.at(-1)?.[1];
  const label = newest === undefined ? text("no_samples") : format(newest);
  find(`${name}-newest`).textContent = label;
  find(`${name}-most`).textContent = newest === undefined ? "" : format(most);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("aria-label", `${text(name)}: ${label}`);
  svg.replaceChildren(
    ...[0, HEIGHT / 2, HEIGHT].map((y) => element("path", { class: "grid", d: `M0 ${y}H${WIDTH}` })),
    element("path", { class: "line", d: pathThrough(points, most, Date.now() / 1000) }),
  );
}

/* Draw the speed and the share of the prompt cache. */
export function drawCharts(samples) {
  const since = Date.now() / 1000 - HOUR;
  const pointsOf = (field) =>
    samples.filter((one) => one[field] !== null && one.time > since).map((one) => [one.time, one[field]]);
  const speeds = pointsOf("generation_speed");
  const fastest = Math.max(0, ...speeds.map(([, value]) => value));
  // A round number above the fastest.
  const step = 10 ** Math.floor(Math.log10(Math.max(1, fastest)));
  draw("speed", speeds, { most: Math.max(1, Math.ceil(fastest / step)) * step, format: number });
  draw("cached", pointsOf("cached_share"), { most: 1, format: percent });
}
