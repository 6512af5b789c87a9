// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// A card for each part of each node: how it is, its rates, latencies, ages, energy and losses.

import { element, mark, resize, write } from "./dom.js";
import { clock, count, duration, figure, known, NONE, prefixed, spread } from "./format.js";
import { level, Sign } from "./levels.js";
import { onCursor, TimePlot } from "./plots.js";
import { SECONDS, seriesKey } from "./series.js";

/** So long stays the card of a node that the server no longer names: it may have been restarted itself. */
const KEPT_S = 60;
const MOST_REASONS = 5;

let unique = 0;

/** The cards of all nodes, by name. */
export class NodeCards {
  constructor(series) {
    this.series = series;
    this.list = document.getElementById("nodes");
    this.empty = document.getElementById("nothing");
    this.note = document.getElementById("window");
    this.noteText = this.note.textContent;
    this.cards = new Map();
    this.index = null;
    onCursor((index) => this.inspect(index));
  }

  /** Shows a snapshot; returns the level of each card. */
  show(snapshot) {
    for (const node of snapshot.nodes) {
      const key = seriesKey(node);
      let card = this.cards.get(key);
      if (!card) {
        card = new Card(node, this.series.times, this.series.rows(key));
        this.insert(key, card);
      }
      card.update(node, snapshot.at);
    }
    for (const [key, card] of this.cards) {
      const missing = snapshot.at - card.at;
      if (missing > KEPT_S) {
        card.destroy();
        this.cards.delete(key);
        this.series.forget(key);
      } else if (missing > 0) card.miss(missing);
    }
    this.empty.hidden = this.cards.size > 0;
    if (this.index !== null) this.inspect(this.index);
    return [...this.cards.values()].map((card) => card.level);
  }

  /** Puts a card where its name belongs, so that each stands in the same place every day. */
  insert(key, card) {
    const next = [...this.cards.keys()].filter((other) => other > key).sort()[0];
    this.list.insertBefore(card.root, next === undefined ? null : this.cards.get(next).root);
    this.cards.set(key, card);
  }

  /** Shows the figures of the second under the pointer in all cards; null shows the newest again. */
  inspect(index) {
    const inside = index !== null && index < SECONDS - 1 ? index : null;
    this.index = inside;
    write(this.note, inside === null ? this.noteText : `at ${clock(this.series.times[inside])}`);
    for (const card of this.cards.values()) card.inspect(inside);
  }
}

class Card {
  constructor(node, times, rows) {
    const id = `node-${(unique += 1)}`;
    this.rows = rows;
    this.at = 0;
    this.level = "ok";
    this.index = null;
    this.node = node;
    this.root = element("li", "node");
    const article = element("article");
    article.setAttribute("aria-labelledby", id);
    this.sign = new Sign(18);
    const title = element("h3", "", node.name);
    title.id = id;
    title.title = node.name;
    this.word = element("span", "word");
    this.state = element("span", "state");
    const line = element("p", "about");
    line.append(this.word, element("span", "part", node.part), this.state);
    this.message = element("p", "message");
    const head = element("div", "head");
    head.append(this.sign.root, title, line, this.message);
    const band = (low, high) => [[rows[low], rows[high]], "band"];
    this.cells = {
      rate: new Cell("rate", times, [rows.rate_out_hz, rows.rate_in_hz], "lines"),
      latency: new Cell("latency", times, ...band("latency_p50_ms", "latency_p99_ms")),
      age: new Cell("age", times, ...band("age_p50_ms", "age_p99_ms")),
      energy: new Cell("energy", times, [rows.j_per_result], "lines"),
    };
    this.losses = new Losses();
    article.append(head, ...Object.values(this.cells).map((cell) => cell.root), this.losses.root);
    this.root.append(article);
  }

  update(node, at) {
    this.node = node;
    this.at = at;
    this.become(node.level);
    const lost = node.level === "gone" || node.level === "silent";
    write(this.state, lost ? `for ${duration(node.silent_s)}` : node.state ?? "");
    write(this.message, node.message);
    mark(this.message, "title", node.message);
    this.losses.show(node.drops, node.failures);
    this.figures();
  }

  /** The server no longer names this node: as after its own restart, before the node reported. */
  miss(seconds) {
    this.become("gone");
    write(this.state, `for ${duration(seconds)}`);
    write(this.message, "not in the server's last report");
  }

  become(name) {
    this.level = name;
    this.sign.show(name);
    mark(this.root, "data-level", name);
    mark(this.root, "data-group", level(name).group);
    write(this.word, level(name).word);
  }

  inspect(index) {
    if (index === null && this.index === null) return;
    this.index = index;
    this.figures();
  }

  /** Writes the figures of now, or those of the second under the pointer. */
  figures() {
    const { node, rows, index } = this;
    const then = (name, now) => (index === null ? now : rows[name][index]);
    const [into, out] = [then("rate_in_hz", node.rate_in_hz), then("rate_out_hz", node.rate_out_hz)];
    const both = known(into) && known(out);
    this.cells.rate.show(both ? "rate, in → out" : known(into) ? "rate in" : "rate", both ? `${figure(into)} → ${figure(out)}` : figure(out ?? into), "Hz");
    for (const name of ["latency", "age"]) {
      const now = node[`${name}_ms`];
      const [low, high] = [then(`${name}_p50_ms`, now?.p50), then(`${name}_p99_ms`, now?.p99)];
      const none = !known(low) && !known(high);
      if (none && index === null && known(node[`${name}_newest_ms`])) {
        this.cells[name].show(`${name}, newest`, figure(node[`${name}_newest_ms`]), "ms");
        continue;
      }
      this.cells[name].show(`${name}, p50 – p99`, none ? NONE : spread(low, high), none ? "" : "ms");
    }
    this.energy(then);
  }

  energy(then) {
    const { energy } = this.node;
    const cell = this.cells.energy;
    if (!energy) return cell.show("energy", NONE, "");
    if (energy.kind === "unavailable") return cell.show("energy", "no meter", "");
    const how = energy.fake ? "fake" : energy.kind;
    const sign = energy.kind === "modelled" ? "~" : "";
    const [joules, watts] = [then("j_per_result", energy.j_per_result), then("watts", energy.watts)];
    const power = known(watts) ? `, ${prefixed(watts, "W")}` : "";
    if (!known(joules)) return cell.show(`energy, ${how}`, known(watts) ? `${sign}${prefixed(watts, "W")}` : NONE, "");
    const [number, unit] = prefixed(joules, "J").split(" ");
    return cell.show(`energy, ${how}${power}`, `${sign}${number}`, `${unit}/${energy.unit}`);
  }

  destroy() {
    for (const cell of Object.values(this.cells)) cell.plot.destroy();
    this.root.remove();
  }
}

/** A label, a figure with its unit, and its plot. */
class Cell {
  constructor(name, times, lines, kind) {
    this.label = element("span", "label", name);
    this.value = element("span", "value");
    this.unit = element("span", "unit");
    const figures = element("p");
    figures.append(this.value, this.unit);
    const plot = element("div", "plot");
    plot.setAttribute("aria-hidden", "true");
    this.root = element("div", `cell ${name}`);
    this.root.append(this.label, figures, plot);
    this.plot = new TimePlot(plot, times, lines, kind);
  }

  show(label, value, unit) {
    write(this.label, label);
    write(this.value, value);
    write(this.unit, unit);
    mark(this.root, "data-none", value === NONE || value === "no meter");
  }
}

/** What was dropped, and what failed, each by its reason. */
class Losses {
  constructor() {
    this.root = element("div", "losses");
    this.label = element("span", "label", "drops");
    this.list = element("ul");
    this.root.append(this.label, this.list);
  }

  show(drops, failures) {
    const some = (counts) => Object.entries(counts ?? {}).filter(([, number]) => number > 0);
    const [dropped, failed] = [some(drops), some(failures)];
    const all = [...failed.map(([reason, number]) => [`failed: ${reason}`, number]), ...dropped];
    const lines = all.slice(0, MOST_REASONS);
    if (all.length > MOST_REASONS) lines.push([`and ${count(all.length - MOST_REASONS, "more reason")}`, ""]);
    write(this.label, failed.length ? "drops and failures" : "drops");
    mark(this.root, "data-none", lines.length === 0);
    const items = resize(this.list, Math.max(1, lines.length), () => {
      const item = element("li");
      item.append(element("span", "reason"), element("b"));
      return item;
    });
    (lines.length ? lines : [["none", ""]]).forEach(([reason, number], i) => {
      write(items[i].firstChild, reason);
      mark(items[i], "title", reason);
      write(items[i].lastChild, number === "" ? "" : Number(number).toFixed(0));
    });
  }
}
