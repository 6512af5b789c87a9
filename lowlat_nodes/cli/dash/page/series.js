// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// The last ten minutes of every figure, one point a second, in arrays that never grow.

import { known } from "./format.js";

export const SECONDS = 600;

/** The figures of a node that are kept, by the names that the server gives them in its history. */
const FIGURES = {
  rate_in_hz: (node) => node.rate_in_hz,
  rate_out_hz: (node) => node.rate_out_hz,
  latency_p50_ms: (node) => node.latency_ms?.p50,
  latency_p99_ms: (node) => node.latency_ms?.p99,
  age_p50_ms: (node) => node.age_ms?.p50,
  age_p99_ms: (node) => node.age_ms?.p99,
  watts: (node) => node.energy?.watts,
  j_per_result: (node) => node.energy?.j_per_result,
};

/** Returns the name under which the history has a part of a node. */
export function seriesKey(node) {
  return node.part ? `${node.name}: ${node.part}` : node.name;
}

/** Ten minutes of all nodes; the last point is that of the second `end`. */
export class Series {
  constructor() {
    this.end = 0;
    this.times = new Array(SECONDS).fill(0);
    this.nodes = new Map();
  }

  /** Takes the server's history for what was before; what has come since stays. */
  load(history) {
    const at = Array.isArray(history?.at) ? history.at : [];
    if (!at.length) return;
    const last = Math.floor(at[at.length - 1]);
    // Of what came while the history was under way, only the newest second stays.
    if (last > this.end || this.end - last > SECONDS) this.advance(last);
    for (const [key, figures] of Object.entries(history.nodes ?? {})) {
      const rows = this.rows(key);
      for (const name of Object.keys(FIGURES)) {
        const values = figures[name];
        if (!Array.isArray(values)) continue;
        for (let i = 0; i < at.length; i += 1) {
          const index = SECONDS - 1 - (this.end - Math.floor(at[i]));
          if (index >= 0 && index < SECONDS && known(values[i])) rows[name][index] = values[i];
        }
      }
    }
  }

  /** Writes a snapshot into its second; returns whether a new second has begun. */
  add(snapshot) {
    const second = Math.floor(snapshot.at);
    const begun = second !== this.end;
    if (begun) this.advance(second);
    for (const node of snapshot.nodes) {
      const rows = this.rows(seriesKey(node));
      const heard = node.level !== "gone" && node.level !== "silent";
      for (const [name, read] of Object.entries(FIGURES)) {
        const value = heard ? read(node) : null;
        rows[name][SECONDS - 1] = known(value) ? value : null;
      }
    }
    return begun;
  }

  /** Moves the window on to a second; a clock that was set back begins it anew. */
  advance(second) {
    const by = second - this.end;
    this.end = second;
    for (let i = 0; i < SECONDS; i += 1) this.times[i] = second - (SECONDS - 1) + i;
    for (const rows of this.nodes.values()) {
      for (const values of Object.values(rows)) {
        if (by <= 0 || by >= SECONDS) values.fill(null);
        else values.copyWithin(0, by).fill(null, SECONDS - by);
      }
    }
  }

  /** Returns the arrays of a node, made when it is first asked for. */
  rows(key) {
    let rows = this.nodes.get(key);
    if (!rows) {
      rows = Object.fromEntries(Object.keys(FIGURES).map((name) => [name, new Array(SECONDS).fill(null)]));
      this.nodes.set(key, rows);
    }
    return rows;
  }

  /** Forgets a node whose card has gone. */
  forget(key) {
    this.nodes.delete(key);
  }
}
