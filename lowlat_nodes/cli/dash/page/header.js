// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// The top of the page: whose it is, whether it is live, and how many nodes are well.

import { clock } from "./format.js";
import { GROUPS, level, Sign } from "./levels.js";
import { element, mark, write } from "./dom.js";

const SIGNS = { well: "ok", warn: "warn", trouble: "error" };

const STATES = {
  connecting: { word: "connecting", sign: "stale" },
  live: { word: "live", sign: "ok" },
  late: { word: "no news", sign: "silent" },
  lost: { word: "disconnected", sign: "gone" },
  refused: { word: "refused", sign: "gone" },
  paused: { word: "paused", sign: "stale" },
};

/** Shows host, domain, time, connection and counts. */
export class Header {
  constructor() {
    this.host = document.getElementById("host");
    this.domain = document.getElementById("domain");
    this.time = document.getElementById("time");
    this.link = document.getElementById("link");
    this.notice = document.getElementById("notice");
    this.sign = new Sign();
    this.word = element("span");
    this.link.append(this.sign.root, this.word);
    this.counts = new Map();
    for (const group of GROUPS) {
      const sign = new Sign();
      sign.show(SIGNS[group]);
      const number = element("b", "", "0");
      const item = element("li");
      item.append(sign.root, number, element("span", "", group));
      document.getElementById("counts").append(item);
      this.counts.set(group, { item, number });
    }
  }

  show(snapshot, levels) {
    write(this.host, snapshot.host);
    write(this.domain, snapshot.domain === null ? "without ROS" : `domain ${snapshot.domain}`);
    write(this.time, clock(snapshot.at));
    const numbers = { well: 0, warn: 0, trouble: 0 };
    for (const name of levels) numbers[level(name).group] += 1;
    for (const [group, { item, number }] of this.counts) {
      write(number, String(numbers[group]));
      mark(item, "data-none", numbers[group] === 0);
    }
    const bad = numbers.trouble ? `${numbers.trouble} in trouble · ` : numbers.warn ? `${numbers.warn} warn · ` : "";
    const title = `${bad}${snapshot.host} · lowlat dash`;
    if (document.title !== title) document.title = title;
  }

  /** Says how the connection is; what is wrong is said in a sentence, over the page, so that nothing moves. */
  connection(state, since) {
    const { word, sign } = STATES[state];
    this.sign.show(sign);
    write(this.word, word);
    mark(document.body, "data-link", state);
    const host = this.host.textContent || "the host";
    const sentence = {
      late: `No news since ${clock(since / 1e3)}, though the connection stands. What you see is from then.`,
      lost: `Disconnected since ${clock(since / 1e3)}. What you see is from then. Trying again every two seconds; is lowlat dash still running on ${host}?`,
      refused: "The server asks for its token. Open the address that lowlat dash printed when it started, token and all.",
    }[state];
    write(this.notice, sentence ?? "");
    this.notice.hidden = !sentence;
  }
}
