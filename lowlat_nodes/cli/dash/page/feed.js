// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// The connection to the server: snapshots as they come, the history after every connect, and how the connection is.

const LATE_MS = 3000;
const DEAD_MS = 10_000;
const RETRY_MS = 2000;

/** Connects, and connects again whenever it must. */
export class Feed {
  /**
   * @param {object} on
   * @param {(snapshot: object) => void} on.snapshot
   * @param {(history: object) => void} on.history
   * @param {(state: "connecting"|"live"|"late"|"lost"|"refused", since_ms: number) => void} on.state
   */
  constructor(on) {
    this.on = on;
    this.state = "";
    this.heardAt = 0;
    this.source = null;
    this.retry = 0;
    this.become("connecting");
    this.open();
    setInterval(() => this.watch(), 500);
  }

  open() {
    clearTimeout(this.retry);
    this.source?.close();
    this.openedAt = performance.now();
    this.source = new EventSource("events");
    this.source.onopen = () => this.readHistory();
    this.source.onmessage = (event) => this.receive(event.data);
    this.source.onerror = () => this.fail();
  }

  receive(text) {
    const snapshot = JSON.parse(text);
    this.heardAt = performance.now();
    this.become("live");
    this.on.snapshot(snapshot);
  }

  async readHistory() {
    try {
      const answer = await fetch("history.json", { cache: "no-store" });
      if (answer.ok) this.on.history(await answer.json());
    } catch {
      // The connection went while it was read; the next one reads it again.
    }
  }

  async fail() {
    // A browser tries again by itself unless the server said no, or was not there at all.
    this.source.close();
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), RETRY_MS);
    if (this.state !== "refused") this.become("lost");
    try {
      const { status } = await fetch("history.json", { method: "GET", cache: "no-store" });
      if (status === 401 || status === 403) this.become("refused");
    } catch {
      this.become("lost");
    }
  }

  /** A connection that stands and says nothing is as good as none. */
  watch() {
    const now = performance.now();
    const quiet = now - Math.max(this.heardAt, this.openedAt);
    if (this.state === "live" && quiet > LATE_MS) this.become("late");
    if (quiet > DEAD_MS && this.source.readyState !== EventSource.CLOSED) {
      this.become("lost");
      this.open();
    }
  }

  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.on.state(state, Date.now());
  }
}
