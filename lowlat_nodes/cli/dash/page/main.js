// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// The page of `lowlat dash`: what the server tells goes to each part of the page.

import { Alerts } from "./alerts.js";
import { Arms } from "./arms.js";
import { Cameras } from "./cameras.js";
import { mark } from "./dom.js";
import { Events } from "./events.js";
import { Feed } from "./feed.js";
import { Graph } from "./graph.js";
import { Header } from "./header.js";
import { NodeCards } from "./nodes.js";
import { drawPlots } from "./plots.js";
import { Series } from "./series.js";

// The cookie has taken the token's place, which need not stand in the address for others to see.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname);

const series = new Series();
const header = new Header();
const nodes = new NodeCards(series);
const graph = new Graph();
const others = [new Cameras(), new Arms(), new Alerts(), new Events()];
const pause = document.getElementById("pause");

let newest = null;
let paused = false;
let link = ["connecting", Date.now()];

/** Shows the newest snapshot, unless nobody looks or the reader wants to read. */
function show() {
  if (!newest || paused || document.hidden) return;
  const levels = nodes.show(newest);
  header.show(newest, levels);
  graph.show(newest);
  for (const part of others) part.show(newest);
  mark(document.body, "data-sequence", newest.sequence);
}

new Feed({
  snapshot(snapshot) {
    newest = snapshot;
    const begun = series.add(snapshot);
    show();
    if (begun && !paused) drawPlots();
  },
  history(history) {
    series.load(history);
    if (!paused) drawPlots();
  },
  state(state, since) {
    link = [state, since];
    if (!paused) header.connection(...link);
  },
});

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  if (paused) header.connection("paused", Date.now());
  else {
    header.connection(...link);
    show();
    drawPlots();
  }
});

document.addEventListener("visibilitychange", () => {
  show();
  if (!document.hidden && !paused) drawPlots();
});
