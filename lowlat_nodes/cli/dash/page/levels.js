// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// How a node is: a word, a sign of a shape of its own, and one of three groups.

import { drawn, mark } from "./dom.js";

const RING = "M8 1.9a6.1 6.1 0 1 0 0 12.2a6.1 6.1 0 1 0 0-12.2z";

const LEVELS = {
  ok: { word: "well", group: "well", outline: "M8 1a7 7 0 1 0 0 14a7 7 0 1 0 0-14z", mark: "M4.8 8.3l2.3 2.3 4.2-4.8" },
  warn: { word: "warn", group: "warn", outline: "M8 1.2l7 13H1z", mark: "M8 5.8v4M8 12v.1" },
  error: { word: "error", group: "trouble", outline: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z", mark: "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" },
  stale: { word: "stale", group: "trouble", outline: RING, mark: "M8 4.6V8.2l2.4 1.6", hollow: true },
  silent: { word: "silent", group: "trouble", outline: RING, mark: "M5 8h6", hollow: true },
  gone: { word: "gone", group: "trouble", outline: RING, mark: "M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4", hollow: true },
};
const UNKNOWN = { word: "unknown", group: "trouble", outline: RING, mark: "M8 5v3.6M8 11v.1", hollow: true };

/** The groups that the header counts. */
export const GROUPS = ["well", "warn", "trouble"];

/** Returns what is known of a level by the name that the server gives it. */
export function level(name) {
  return Object.hasOwn(LEVELS, name) ? LEVELS[name] : UNKNOWN;
}

/** Returns the level of the worst of several parts of a node. */
export function worst(names) {
  const order = Object.keys(LEVELS);
  return names.reduce((found, name) => (order.indexOf(name) > order.indexOf(found) ? name : found), "ok");
}

/** A sign, drawn once and changed with the level. */
export class Sign {
  constructor(size = 16) {
    this.root = drawn("svg", { viewBox: "0 0 16 16", width: size, height: size, class: "sign", "aria-hidden": "true" });
    this.outline = drawn("path");
    this.mark = drawn("path", { class: "mark" });
    this.root.append(this.outline, this.mark);
  }

  show(name) {
    const { group, outline, mark: path, hollow = false } = level(name);
    mark(this.root, "class", `sign ${group}${hollow ? " hollow" : ""}`);
    mark(this.outline, "d", outline);
    mark(this.mark, "d", path);
  }
}
