// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// The graph: who tells whom what, and how it travels.

import { drawn, element, mark, resize, write } from "./dom.js";
import { count } from "./format.js";
import { layOut } from "./graph_layout.js";
import { level, Sign, worst } from "./levels.js";

/** So long stays what the server no longer names, so that a restart does not move the whole graph. */
const KEPT_S = 60;
const TRANSPORTS = { ros: "ROS topic", zmq: "ZeroMQ", shm: "shared memory" };
const LETTERS = 26;
const LEAST_SCALE = 0.72;
const [NAME_PX, TOPIC_PX, PADDING] = [7.4, 6.2, 44];

/** The drawing and, for those who would rather read, the same as a table. */
export class Graph {
  constructor() {
    this.host = document.getElementById("graph");
    this.none = document.getElementById("no-graph");
    this.rows = document.getElementById("streams");
    this.details = document.getElementById("streams-as-table");
    this.svg = drawn("svg", { role: "group" });
    this.wires = drawn("g", { class: "wires" });
    this.boxes = drawn("g", { class: "boxes" });
    this.svg.append(arrow(), this.wires, this.boxes);
    this.host.append(this.svg);
    this.nodes = new Map();
    this.streams = new Map();
    this.shape = "";
    legend(document.getElementById("legend"));
  }

  show(snapshot) {
    const { at, graph } = snapshot;
    remember(this.nodes, graph.nodes.map((node) => [node.name, node]), at);
    remember(this.streams, graph.streams.map((stream) => [[stream.from, stream.to, stream.topic, stream.transport].join("\n"), stream]), at);
    const shape = JSON.stringify([[...this.nodes.keys()].sort(), [...this.streams.keys()].sort()]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.redraw();
    }
    this.none.hidden = this.boxes.children.length > 0;
    this.details.hidden = this.streams.size === 0;
    this.mark(snapshot);
  }

  redraw() {
    const streams = [...this.streams.values()].map(({ value }) => ({ ...value }));
    const plan = layOut([...this.nodes.keys()], streams, boxWidth);
    mark(this.svg, "viewBox", `${plan.left} -4 ${Math.ceil(plan.width)} ${Math.ceil(plan.height) + 8}`);
    mark(this.svg, "width", Math.ceil(plan.width));
    // Where the window is too narrow, letters get a little smaller, and then the graph scrolls in its frame.
    this.svg.style.minWidth = `${Math.ceil(plan.width * LEAST_SCALE)}px`;
    mark(this.svg, "aria-label", `${count(this.nodes.size, "node")} and ${count(streams.length, "stream")}`);
    this.boxes.replaceChildren(...plan.boxes.map((box) => this.box(box)));
    this.wires.replaceChildren(...plan.wires.map(({ stream, path }) => wire(stream, path)));
    const rows = resize(this.rows, streams.length, () => {
      const row = element("tr");
      for (let i = 0; i < 5; i += 1) row.append(element("td"));
      return row;
    });
    streams.forEach(({ from, topic, to, transport, type }, i) => {
      [from, topic, to, TRANSPORTS[transport] ?? transport, type].forEach((text, column) => write(rows[i].children[column], text));
    });
  }

  box({ name, x, y, width, height, outputs }) {
    const group = drawn("g", { class: "box", transform: `translate(${x} ${y})`, tabindex: "0", role: "group", "aria-label": name });
    const sign = new Sign(13);
    mark(sign.root, "x", 10);
    mark(sign.root, "y", 10);
    group.append(
      drawn("title", {}, name),
      drawn("rect", { width, height, rx: 7 }),
      sign.root,
    );
    const title = drawn("text", { class: "name", y: 21 }, shorten(name, LETTERS));
    group.append(title);
    for (const output of outputs) {
      group.append(drawn("text", { class: "topic", x: width - 10, y: output.y - y + 4, "text-anchor": "end" }, shorten(output.topic, LETTERS)));
      group.append(drawn("circle", { class: "port", cx: width, cy: output.y - y, r: 2.2 }));
    }
    group.sign = sign;
    group.text = title;
    group.name = name;
    for (const event of ["pointerenter", "focus"]) group.addEventListener(event, () => this.single(name));
    for (const event of ["pointerleave", "blur"]) group.addEventListener(event, () => this.single(null));
    return group;
  }

  /** Brings out the streams of one node. */
  single(name) {
    mark(this.svg, "data-single", name !== null);
    for (const path of this.wires.children) mark(path, "data-of", name !== null && (path.from === name || path.to === name));
  }

  /** Shows how each node is, and what is no longer there. */
  mark({ at, nodes }) {
    for (const group of this.boxes.children) {
      const parts = nodes.filter((node) => node.name === group.name).map((node) => node.level);
      const known = this.nodes.get(group.name);
      const name = parts.length ? worst(parts) : null;
      if (name) group.sign.show(name);
      group.sign.root.style.display = name ? "" : "none";
      mark(group.text, "x", name ? 30 : 12);
      mark(group, "aria-label", name ? `${group.name}, ${level(name).word}` : group.name);
      mark(group, "data-ours", known?.value.ours ?? false);
      mark(group, "data-past", !known || known.at < at || name === "gone");
    }
    for (const path of this.wires.children) mark(path, "data-past", (this.streams.get(path.key)?.at ?? 0) < at);
  }
}

function remember(kept, entries, at) {
  for (const [key, value] of entries) kept.set(key, { value, at });
  for (const [key, { at: last }] of kept) if (Math.abs(at - last) > KEPT_S) kept.delete(key);
}

function boxWidth(name, topics) {
  const widest = Math.max(0, ...topics.map((topic) => Math.min(topic.length, LETTERS) * TOPIC_PX + 24));
  return Math.ceil(Math.max(120, widest, Math.min(name.length, LETTERS) * NAME_PX + PADDING));
}

function shorten(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function wire(stream, path) {
  const transport = Object.hasOwn(TRANSPORTS, stream.transport) ? stream.transport : "ros";
  const made = drawn("path", { d: path, class: transport, "marker-end": "url(#arrow)" });
  made.append(drawn("title", {}, `${stream.topic}, ${stream.type} from ${stream.from} to ${stream.to}, ${TRANSPORTS[transport]}`));
  made.from = stream.from;
  made.to = stream.to;
  made.key = [stream.from, stream.to, stream.topic, stream.transport].join("\n");
  return made;
}

function arrow() {
  const marker = drawn("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" });
  marker.append(drawn("path", { d: "M1 1l6 3-6 3z" }));
  const definitions = drawn("defs");
  definitions.append(marker);
  return definitions;
}

function legend(list) {
  for (const [transport, text] of Object.entries(TRANSPORTS)) {
    const item = element("li");
    const line = drawn("svg", { viewBox: "0 0 28 8", width: 28, height: 8, class: "wires", "aria-hidden": "true" });
    line.append(drawn("path", { d: "M0 4H28", class: transport }));
    item.append(line, element("span", "", text));
    list.append(item);
  }
}
