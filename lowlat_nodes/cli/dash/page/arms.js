// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// Arms: their outline from the side and from above, and each joint with what it was told.

import { drawn, element, mark, resize, write } from "./dom.js";
import { age, known } from "./format.js";

const VIEW = 100;
const MARGIN = 8;

/** All arms, by the topic of their joint states. */
export class Arms {
  constructor() {
    this.list = document.getElementById("arms");
    this.none = document.getElementById("no-arms");
    this.views = new Map();
  }

  show({ arms }) {
    this.none.hidden = arms.length > 0;
    const topics = new Set(arms.map((arm) => arm.topic));
    for (const [topic, view] of this.views) {
      if (topics.has(topic)) continue;
      view.root.remove();
      this.views.delete(topic);
    }
    for (const arm of arms) {
      let view = this.views.get(arm.topic);
      if (!view) {
        view = new ArmView();
        this.views.set(arm.topic, view);
        this.list.append(view.root);
      }
      view.show(arm);
    }
  }
}

class ArmView {
  constructor() {
    this.root = element("figure", "arm");
    this.above = new Outline("from above", ([x, y]) => [x, y], true);
    this.side = new Outline("from the side", ([x, y, z]) => [Math.hypot(x, y) * (x < 0 ? -1 : 1), z], false);
    const views = element("div", "views");
    views.append(this.side.root, this.above.root);
    this.joints = element("ul", "joints");
    this.ranges = new Map();
    this.topic = element("span", "topic");
    this.ages = element("span", "ages");
    const caption = element("figcaption");
    caption.append(this.topic, this.ages);
    this.root.append(views, this.joints, caption);
  }

  show(arm) {
    write(this.topic, arm.topic);
    write(this.ages, `${age(arm.age_ms)} old`);
    mark(this.root, "data-old", arm.age_ms > 2000);
    const outline = arm.outline ?? [];
    // An arm that moves in a plane has nothing to show from the side.
    const flat = outline.every(([, , z]) => Math.abs(z - outline[0][2]) < 1e-6);
    this.side.show(flat ? [] : outline);
    this.above.show(outline);
    const rows = resize(this.joints, arm.names.length, jointRow);
    arm.names.forEach((name, i) => this.joint(rows[i], name, arm.positions[i], arm.commands?.[i]));
  }

  joint(row, name, position, command) {
    const [low, high] = this.range(name, position, command);
    const at = (value) => `${(((value - low) / (high - low)) * 100).toFixed(2)}%`;
    const [label, gauge, value, told] = row.children;
    const [zero, bar, target, dot] = gauge.children;
    write(label, name);
    write(value, known(position) ? signed(position) : "–");
    write(told, known(command) ? `cmd ${signed(command)}` : "");
    mark(zero, "x1", at(0));
    mark(zero, "x2", at(0));
    dot.style.display = known(position) ? "" : "none";
    target.style.display = known(command) ? "" : "none";
    bar.style.display = known(position) && known(command) ? "" : "none";
    if (known(position)) mark(dot, "cx", at(position));
    if (known(command)) {
      mark(target, "x1", at(command));
      mark(target, "x2", at(command));
    }
    if (known(position) && known(command)) {
      mark(bar, "x1", at(position));
      mark(bar, "x2", at(command));
    }
  }

  /** Half a turn to each side, or further where the joint was further. */
  range(name, ...values) {
    let [low, high] = this.ranges.get(name) ?? [-Math.PI, Math.PI];
    for (const value of values) {
      if (!known(value)) continue;
      if (value < low) low = value * 1.2;
      if (value > high) high = value * 1.2;
    }
    this.ranges.set(name, [low, high]);
    return [low, high];
  }
}

function jointRow() {
  const row = element("li");
  const gauge = drawn("svg", { class: "gauge", "aria-hidden": "true" });
  gauge.append(
    drawn("line", { class: "zero", y1: "2", y2: "16" }),
    drawn("line", { class: "off", y1: "9", y2: "9" }),
    drawn("line", { class: "target", y1: "3", y2: "15" }),
    drawn("circle", { class: "dot", cy: "9", r: "4" }),
  );
  row.append(element("span", "name"), gauge, element("span", "value"), element("span", "told"));
  return row;
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

/** One projection; its scale only ever grows, so that it is the arm that moves and not the paper. */
class Outline {
  constructor(name, project, round) {
    this.project = project;
    this.round = round;
    this.reach = 0;
    this.root = element("div", "outline");
    this.svg = drawn("svg", { viewBox: `0 0 ${VIEW} ${VIEW}`, role: "img", "aria-label": `Outline of the arm, ${name}` });
    this.rim = drawn("circle", { class: "rim", cx: VIEW / 2, cy: VIEW / 2, r: VIEW / 2 - MARGIN });
    this.ground = drawn("line", { class: "rim", x1: MARGIN, x2: VIEW - MARGIN, y1: VIEW - MARGIN, y2: VIEW - MARGIN });
    this.links = drawn("polyline", { class: "links" });
    this.dots = drawn("g", { class: "dots" });
    this.svg.append(round ? this.rim : this.ground, this.links, this.dots);
    this.root.append(this.svg, element("span", "label", name));
  }

  show(points) {
    this.root.hidden = points.length < 2;
    if (this.root.hidden) return;
    let length = 0;
    for (let i = 1; i < points.length; i += 1) length += Math.hypot(...points[i].map((value, axis) => value - points[i - 1][axis]));
    this.reach = Math.max(this.reach, length);
    const flat = points.map(this.project);
    const [x0, y0] = flat[0];
    const half = VIEW / 2 - MARGIN;
    // From the side the base stands on the ground, below the middle.
    const [scale, middle] = this.round ? [half / this.reach, VIEW / 2] : [half / this.reach, VIEW - MARGIN];
    const ground = this.round ? y0 : Math.min(0, ...flat.map(([, y]) => y));
    const placed = flat.map(([x, y]) => [VIEW / 2 + (x - x0) * scale, middle - (y - ground) * scale]);
    mark(this.links, "points", placed.map((point) => point.map((value) => value.toFixed(2)).join(",")).join(" "));
    const dots = resize(this.dots, placed.length, () => drawn("circle"));
    placed.forEach(([x, y], i) => {
      mark(dots[i], "cx", x.toFixed(2));
      mark(dots[i], "cy", y.toFixed(2));
      mark(dots[i], "r", i === placed.length - 1 ? 3 : 2.2);
      mark(dots[i], "class", i === placed.length - 1 ? "tip" : "joint");
    });
  }
}
