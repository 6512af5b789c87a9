// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// What happened: the newest fifty events, newest first.

import { element, resize, write } from "./dom.js";
import { clock } from "./format.js";

const MOST = 50;

/** The list of events; its lines are made once and written anew. */
export class Events {
  constructor() {
    this.list = document.getElementById("events");
    this.none = document.getElementById("no-events");
  }

  show({ events }) {
    const newest = events.slice(0, MOST);
    this.none.hidden = newest.length > 0;
    const items = resize(this.list, newest.length, () => {
      const item = element("li");
      item.append(element("time"), element("b"), element("span"));
      return item;
    });
    newest.forEach((event, i) => {
      const [time, node, text] = items[i].children;
      write(time, clock(event.at));
      write(node, event.node);
      write(text, event.text);
    });
  }
}
