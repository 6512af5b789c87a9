// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// Elements, made and changed without ever reading text as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Returns a new element with a class and a text. */
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** Returns a new SVG element with attributes. */
export function drawn(tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

/** Writes a text, and leaves the element alone where it says that already. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Sets an attribute, and leaves the element alone where it has that value already. */
export function mark(target, name, value) {
  const text = String(value);
  if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/** Adds or removes children at the end until there are `count`. */
export function resize(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make());
  return parent.children;
}
