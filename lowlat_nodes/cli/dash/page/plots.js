// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// Small plots over the last ten minutes: a line, or a band from the median to the 99th percentile.

import { SECONDS } from "./series.js";

const HEIGHT_PX = 46;
const AXIS_PX = 34;
const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** Where values lie far above those that most do not exceed, these are what the plot is for. */
const [USUAL, FAR, FEW] = [0.95, 2.5, 20];

const palette = {};
const sorted = new Float64Array(2 * SECONDS);
const plots = new Set();
const watchers = new Set();

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["plot", "plot-band", "plot-second", "faint", "rule"]) palette[name] = style.getPropertyValue(`--${name}`).trim();
}

/** Returns the smallest round number that is not below a value. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const scale = 10 ** Math.floor(Math.log10(value));
  return STEPS.find((step) => step * scale >= value * 0.9999) * scale;
}

/** Returns an axis label of a few letters: 300, 1.5, 10m, 20k. */
function label(value) {
  const short = (number) => String(Number(number.toPrecision(2)));
  if (value >= 10_000) return `${short(value / 1e3)}k`;
  if (value >= 0.1 || value === 0) return short(value);
  return value >= 1e-3 * 0.999 ? `${short(value * 1e3)}m` : `${short(value * 1e6)}µ`;
}

/** Calls back with the index of the second under the pointer, or null where there is none. */
export function onCursor(watcher) {
  watchers.add(watcher);
}

/** Draws all plots that can be seen. */
export function drawPlots() {
  for (const plot of plots) plot.draw();
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.plot?.appear(entry.isIntersecting);
}, { rootMargin: "100px" });

const sized = new ResizeObserver((entries) => {
  for (const entry of entries) entry.target.plot?.fit(entry.contentRect.width);
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readPalette();
  drawPlots();
});

/** One plot; its arrays are those of the series, and are read anew at every drawing. */
export class TimePlot {
  /**
   * @param {HTMLElement} host where it is drawn
   * @param {number[]} times unix seconds, shared by all plots
   * @param {Array<Array<number|null>>} lines one line, or two
   * @param {"band"|"lines"} kind whether two lines are the edges of a band
   */
  constructor(host, times, lines, kind) {
    if (!plots.size) readPalette();
    this.host = host;
    this.data = [times, ...lines];
    this.kind = kind;
    this.visible = false;
    this.top = 0;
    this.cut = false;
    this.plot = null;
    host.plot = this;
    plots.add(this);
    seen.observe(host);
    sized.observe(host);
  }

  appear(visible) {
    this.visible = visible;
    if (visible) this.draw();
  }

  fit(width) {
    const whole = Math.floor(width);
    if (whole < AXIS_PX * 2) return;
    if (this.plot) this.plot.setSize({ width: whole, height: HEIGHT_PX });
    else this.plot = new globalThis.uPlot(this.options(whole), this.data, this.host);
  }

  draw() {
    if (!this.visible || !this.plot || document.hidden) return;
    const empty = this.data.slice(1).every((line) => line.every((value) => value === null));
    this.host.classList.toggle("empty", empty);
    if (!empty) this.plot.setData(this.data);
  }

  destroy() {
    seen.unobserve(this.host);
    sized.unobserve(this.host);
    plots.delete(this);
    this.plot?.destroy();
    this.plot = null;
    this.host.plot = null;
  }

  /**
   * From zero to a round number above the values; it comes down only where much of the plot is empty. A few values
   * far above all others, as of a start, run out of the plot, and the axis says so: "20+".
   */
  range() {
    let known = 0;
    for (let line = 1; line < this.data.length; line += 1) {
      for (const value of this.data[line]) {
        if (value === null) continue;
        sorted[known] = value;
        known += 1;
      }
    }
    const values = sorted.subarray(0, known).sort();
    const most = known ? values[known - 1] : 0;
    const usual = known ? values[Math.floor((known - 1) * USUAL)] : 0;
    this.cut = known >= FEW && most > FAR * usual && usual > 0;
    const top = roundUp((this.cut ? usual * 1.5 : most) * 1.04);
    if (top > this.top || top < this.top * 0.7) this.top = top;
    this.cut &&= most > this.top;
    return [0, this.top];
  }

  options(width) {
    const band = this.kind === "band";
    const line = (name) => ({ stroke: () => palette[name], width: 1.25, points: { show: false }, spanGaps: false });
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width,
      height: HEIGHT_PX,
      padding: [6, 0, 4, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { show: false }, sync: { key: "time" } },
      scales: {
        x: { time: true, range: () => [this.data[0][0], this.data[0][SECONDS - 1]] },
        y: { range: () => this.range() },
      },
      axes: [
        { show: false },
        {
          side: 1,
          size: AXIS_PX,
          gap: 4,
          font: "10px system-ui, sans-serif",
          stroke: () => palette.faint,
          ticks: { show: false },
          grid: { stroke: () => palette.rule, width: 1 },
          splits: () => [0, this.top],
          values: (_, splits) => splits.map((value) => label(value) + (value > 0 && this.cut ? "+" : "")),
        },
      ],
      series: band
        ? [{}, line("plot"), edge]
        : [{}, ...this.data.slice(1).map((_, i) => line(i ? "plot-second" : "plot"))],
      bands: band ? [{ series: [2, 1], fill: () => palette["plot-band"] }] : [],
      hooks: { setCursor: [(plot) => this.cursor(plot)] },
    };
  }

  cursor(plot) {
    // Those that follow the pointer of another plot have nothing new to tell.
    if (plot.cursor.event) for (const watcher of watchers) watcher(plot.cursor.idx ?? null);
  }
}
