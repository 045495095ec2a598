/* Lines over the last hour. */

import { text } from "./texts.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 100;
const HOUR = 3600;

function element(name, attributes, content = "") {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.textContent = content;
  return made;
}

/* Draw the samples' values of a name; where there is none the line is broken. */
export function drawLine(svg, samples, name, kind, format) {
  const now = Date.now() / 1000;
  const values = samples.filter((one) => one[name] !== null && one.time > now - HOUR);
  const most = Math.max(1e-9, ...values.map((one) => one[name]));
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  if (!values.length) {
    svg.replaceChildren(element("text", { x: 4, y: 50 }, text("no_samples")));
    svg.setAttribute("aria-label", text("no_samples"));
    return;
  }
  const points = values.map((one) => {
    const x = WIDTH * (1 - (now - one.time) / HOUR);
    const y = HEIGHT - 4 - (one[name] / most) * (HEIGHT - 24);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  // A single sample is a short line rather than nothing.
  const [x, y] = points[0].split(",");
  const line = [`${Number(x) - 2},${y}`, ...points].join(" ");
  const newest = format(values.at(-1)[name]);
  svg.replaceChildren(
    element("polyline", { points: line, class: kind }),
    element("text", { x: 4, y: 12 }, `${format(most)} max, ${newest}`),
  );
  svg.setAttribute("aria-label", newest);
}
