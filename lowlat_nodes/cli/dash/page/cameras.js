// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// Cameras with what was detected in them.

import { drawn, element, mark, resize, write } from "./dom.js";
import { age, count, known } from "./format.js";

const MOST = 100;
const CHARACTER = 0.53;
/** The server lets go of a camera whose pictures nobody asks for, and so would not notice that it works again. */
const ASK_AGAIN_MS = 4000;
const PATIENCE_MS = 6000;

/** All cameras; each keeps one canvas and one layer of boxes. */
export class Cameras {
  constructor() {
    this.list = document.getElementById("cameras");
    this.none = document.getElementById("no-cameras");
    this.views = new Map();
  }

  show({ cameras }) {
    this.none.hidden = cameras.length > 0;
    const topics = new Set(cameras.map((camera) => camera.topic));
    for (const [topic, view] of this.views) {
      if (topics.has(topic)) continue;
      view.remove();
      this.views.delete(topic);
    }
    for (const camera of cameras) {
      let view = this.views.get(camera.topic);
      if (!view) {
        view = new CameraView();
        this.views.set(camera.topic, view);
        this.list.append(view.root);
      }
      view.show(camera);
    }
  }
}

class CameraView {
  constructor() {
    this.root = element("figure", "camera");
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.boxes = drawn("svg", { "aria-hidden": "true" });
    const picture = element("div", "picture");
    picture.append(this.canvas, this.boxes);
    this.topic = element("span", "topic");
    this.ages = element("span", "ages");
    const caption = element("figcaption");
    caption.append(this.topic, this.ages);
    this.root.append(picture, caption);
    this.sequence = null;
    this.asking = false;
    this.askedAt = 0;
    this.seen = true;
    this.observer = new IntersectionObserver(([entry]) => (this.seen = entry.isIntersecting), { rootMargin: "200px" });
    this.observer.observe(this.root);
  }

  show(camera) {
    write(this.topic, camera.topic);
    const found = known(camera.detections_age_ms) ? `, detections ${age(camera.detections_age_ms)} old` : "";
    const image = known(camera.age_ms) ? `image ${age(camera.age_ms)} old` : "no image yet";
    write(this.ages, camera.trouble ? camera.trouble : `${image}${found}`);
    mark(this.root, "data-old", camera.age_ms > 2000);
    const sum = camera.detector ? `${count(camera.detections.length, "detection")}: ${tally(camera.detections)}` : "no detector";
    mark(this.canvas, "aria-label", `Image of ${camera.topic}, ${sum}`);
    if (camera.width > 0 && camera.height > 0) {
      mark(this.boxes, "viewBox", `0 0 ${camera.width} ${camera.height}`);
      if (!this.sequence) {
        this.canvas.width = camera.width;
        this.canvas.height = camera.height;
      }
    }
    // Boxes belong to an image: those of a newer one wait for it.
    if (camera.sequence === this.sequence) this.draw(camera);
    if (!this.asking && this.seen && !document.hidden && this.wants(camera)) this.ask(camera);
  }

  wants({ sequence }) {
    return sequence !== this.sequence || performance.now() - this.askedAt > ASK_AGAIN_MS;
  }

  /** Takes the newest image, and draws what was found in it. */
  async ask(camera) {
    const { index, sequence } = camera;
    this.asking = true;
    this.askedAt = performance.now();
    try {
      const answer = await fetch(`camera/${Number(index)}.jpg?s=${Number(sequence)}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (answer.status === 200) {
        const image = await createImageBitmap(await answer.blob());
        if (this.canvas.width !== image.width || this.canvas.height !== image.height) {
          this.canvas.width = image.width;
          this.canvas.height = image.height;
        }
        this.canvas.getContext("2d").drawImage(image, 0, 0);
        image.close();
        this.sequence = sequence;
        this.draw(camera);
      }
    } catch {
      // The next snapshot asks again; whether the server is there is for the feed to say.
    } finally {
      this.asking = false;
    }
  }

  remove() {
    this.observer.disconnect();
    this.root.remove();
  }

  draw({ detections, width }) {
    const size = width / 28;
    const groups = resize(this.boxes, Math.min(detections.length, MOST), () => {
      const group = drawn("g");
      group.append(drawn("rect", { class: "under" }), drawn("rect", { class: "box" }), drawn("rect", { class: "tag" }), drawn("text"));
      return group;
    });
    detections.slice(0, MOST).forEach((found, i) => {
      const [under, box, tag, text] = groups[i].children;
      for (const rect of [under, box]) place(rect, found.x, found.y, found.width, found.height);
      const name = `${found.label}${found.track ? ` ${found.track}` : ""} ${found.score.toFixed(2)}`;
      const wide = name.length * size * CHARACTER + size * 0.5;
      const above = found.y > size * 1.4;
      const [left, top] = [Math.max(0, Math.min(found.x, width - wide)), above ? found.y - size * 1.35 : found.y];
      place(tag, left, top, wide, size * 1.35);
      mark(text, "x", (left + size * 0.25).toFixed(1));
      mark(text, "y", (top + size).toFixed(1));
      mark(text, "font-size", size.toFixed(1));
      write(text, name);
    });
  }
}

function place(rect, x, y, width, height) {
  mark(rect, "x", x.toFixed(1));
  mark(rect, "y", y.toFixed(1));
  mark(rect, "width", Math.max(0, width).toFixed(1));
  mark(rect, "height", Math.max(0, height).toFixed(1));
}

function tally(detections) {
  const numbers = new Map();
  for (const { label } of detections) numbers.set(label, (numbers.get(label) ?? 0) + 1);
  return [...numbers].map(([label, number]) => `${number} ${label}`).join(", ") || "none";
}
