// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// A light curve: magnitudes over days, brighter above, each band with a colour and a symbol of its own.

import { drawn } from "./dom.js";
import { known } from "./format.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [240, 132, 32, 20, 8, 8];
const MOST = 200;
const MOST_BANDS = 8;

/** Bands in the order of their wavelengths, with a symbol around (0, 0). */
const SYMBOLS = {
  u: "M0 3.2L3 -2.2H-3z",
  g: "M0 -2.7a2.7 2.7 0 1 0 .01 0z",
  r: "M-2.4 -2.4h4.8v4.8h-4.8z",
  i: "M0 -3.2L3 2.2H-3z",
  z: "M0 -3.4L3 0L0 3.4L-3 0z",
  y: "M-1 -3h2v2h2v2h-2v2h-2v-2h-2v-2h2z",
};
const OTHER = "M-2.4 -2.4L2.4 2.4M2.4 -2.4L-2.4 2.4";

/** Returns the bands of a light curve that have points, in the order of their wavelengths. */
export function bandsOf(curve) {
  const order = Object.keys(SYMBOLS);
  const rank = (band) => (order.includes(band) ? order.indexOf(band) : order.length);
  if (typeof curve !== "object" || curve === null) return [];
  return Object.keys(curve)
    .filter((band) => Array.isArray(curve[band]) && curve[band].some(Array.isArray))
    .slice(0, MOST_BANDS)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Returns the symbol of a band, for a legend or a point. */
export function symbol(band, attributes = {}) {
  const name = Object.hasOwn(SYMBOLS, band) ? band : "other";
  return drawn("path", { d: SYMBOLS[name] ?? OTHER, class: `symbol band-${name}`, ...attributes });
}

/** Returns a drawing of the curve, or null where there is no point. */
export function drawLightCurve(curve, label) {
  const bands = bandsOf(curve);
  const points = bands.flatMap((band) => curve[band].filter(Array.isArray).slice(-MOST).map(([day, magnitude, error]) => ({ band, day, magnitude, error: known(error) ? error : 0 })));
  const seen = points.filter((point) => known(point.day) && known(point.magnitude));
  if (!seen.length) return null;
  const first = Math.min(...seen.map((point) => point.day));
  const span = Math.max(1, Math.max(...seen.map((point) => point.day)) - first);
  const [bright, faint] = limits(seen);
  const x = (day) => LEFT + ((day - first) / span) * (WIDTH - LEFT - RIGHT - 6) + 3;
  const y = (magnitude) => TOP + ((magnitude - bright) / (faint - bright)) * (HEIGHT - TOP - BOTTOM);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const tick of ticks(bright, faint, 3)) {
    svg.append(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
    svg.append(drawn("text", { x: LEFT - 5, y: y(tick) + 3, "text-anchor": "end" }, tick.toFixed(faint - bright < 1.5 ? 1 : 0)));
  }
  for (const tick of ticks(0, span, 3)) {
    svg.append(drawn("text", { x: x(first + tick), y: HEIGHT - 5, "text-anchor": "middle" }, tick === 0 ? "0" : `${Number(tick.toFixed(1))} d`));
  }
  for (const { band, day, magnitude, error } of seen) {
    const [px, py] = [x(day).toFixed(1), y(magnitude).toFixed(1)];
    const [top, bottom] = [Math.max(TOP, y(magnitude - error)), Math.min(HEIGHT - BOTTOM, y(magnitude + error))];
    const name = Object.hasOwn(SYMBOLS, band) ? band : "other";
    if (error > 0) svg.append(drawn("line", { class: `error band-${name}`, x1: px, x2: px, y1: top.toFixed(1), y2: bottom.toFixed(1) }));
    svg.append(symbol(band, { transform: `translate(${px} ${py})` }));
  }
  return svg;
}

/** The points and half a magnitude at least, with some room. */
function limits(points) {
  const magnitudes = points.map((point) => point.magnitude);
  const [low, high] = [Math.min(...magnitudes), Math.max(...magnitudes)];
  const room = Math.max(0.15, (high - low) * 0.12, (0.6 - (high - low)) / 2);
  return [low - room, high + room];
}

function ticks(low, high, most) {
  const raw = (high - low) / most;
  const scale = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * scale >= raw) * scale;
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) found.push(Math.abs(tick) < step / 1e6 ? 0 : tick);
  return found;
}
