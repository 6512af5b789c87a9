// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// The latest alerts: what they are taken for, and their light curves.

import { drawn, element, mark, resize, write } from "./dom.js";
import { clock, known, prefixed } from "./format.js";
import { bandsOf, drawLightCurve, symbol } from "./light_curve.js";

const SHOWN = 6;
const CLASSES = 4;
/** A stream of alerts is quicker than a reader: so long each set stands. */
const STANDS_S = 10;

/** The newest alerts, as cards that are made once. */
export class Alerts {
  constructor() {
    this.list = document.getElementById("alerts");
    this.none = document.getElementById("no-alerts");
    this.note = document.getElementById("alerts-note");
    this.cards = [];
    this.changedAt = 0;
    this.shown = "";
  }

  show({ alerts, at }) {
    this.none.hidden = alerts.length > 0;
    const newest = alerts.slice(0, SHOWN);
    const names = newest.map((alert) => `${alert.object} ${alert.at}`).join("\n");
    if (names === this.shown) return;
    const grows = newest.length !== this.cards.length;
    if (!grows && Math.abs(at - this.changedAt) < STANDS_S) return;
    this.shown = names;
    this.changedAt = at;
    while (this.cards.length > newest.length) this.cards.pop().root.remove();
    while (this.cards.length < newest.length) {
      const card = new AlertCard();
      this.cards.push(card);
      this.list.append(card.root);
    }
    newest.forEach((alert, i) => this.cards[i].show(alert));
    write(this.note, newest.length ? `newest at ${clock(at)}; looks again every ${STANDS_S} s` : "");
  }
}

class AlertCard {
  constructor() {
    this.root = element("li", "alert");
    this.object = element("h3");
    this.time = element("time");
    this.curve = element("div", "curve");
    this.bands = element("ul", "bands");
    this.verdict = element("p", "verdict");
    this.cost = element("span", "cost");
    const legend = element("div", "legend");
    legend.append(this.bands, this.cost);
    this.bars = element("ul", "bars");
    const head = element("div", "title");
    head.append(this.object, this.time);
    this.root.append(head, this.verdict, this.curve, legend, this.bars);
  }

  show(alert) {
    write(this.object, alert.object);
    mark(this.object, "title", alert.object);
    write(this.time, known(alert.at) ? clock(alert.at) : "");
    const drawing = drawLightCurve(alert.light_curve, `Light curve of ${alert.object}, brighter above`);
    this.curve.replaceChildren(...(drawing ? [drawing] : []));
    this.curve.hidden = !drawing;
    this.bands.replaceChildren(...bandsOf(alert.light_curve).map(bandLabel));
    write(this.verdict, alert.best || "no class is likely enough");
    mark(this.verdict, "data-none", !alert.best);
    write(this.cost, known(alert.cost) ? prefixed(alert.cost, "J") : "");
    const classes = Object.entries(alert.p ?? {}).filter(([, p]) => known(p)).sort(([, a], [, b]) => b - a);
    const shown = classes.slice(0, CLASSES);
    const rows = resize(this.bars, CLASSES, barRow);
    for (let i = 0; i < CLASSES; i += 1) {
      const [name, p] = shown[i] ?? ["", null];
      const [label, bar, value] = rows[i].children;
      write(label, name);
      write(value, known(p) ? `${(p * 100).toFixed(0)} %` : "");
      mark(bar.lastChild, "width", `${known(p) ? (Math.min(1, Math.max(0, p)) * 100).toFixed(1) : 0}%`);
      mark(rows[i], "data-best", name !== "" && name === alert.best);
    }
  }
}

function barRow() {
  const row = element("li");
  const bar = drawn("svg", { class: "bar", "aria-hidden": "true" });
  bar.append(drawn("rect", { class: "whole", width: "100%", height: "100%", rx: 2 }), drawn("rect", { class: "share", height: "100%", rx: 2 }));
  row.append(element("span", "name"), bar, element("span", "value"));
  return row;
}

function bandLabel(band) {
  const item = element("li");
  const icon = drawn("svg", { viewBox: "-5 -5 10 10", width: 10, height: 10, "aria-hidden": "true" });
  icon.append(symbol(band));
  item.append(icon, element("span", "", band));
  return item;
}
