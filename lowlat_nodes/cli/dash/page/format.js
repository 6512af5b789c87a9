// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// Figures, durations and times as text.

export const NONE = "–";

/** Returns three digits or so of a number; a dash where there is none. */
export function figure(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  return size >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}

/** Says whether there is a number at all. */
export function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** Returns "p50–p99", once where both read the same. */
export function spread(low, high) {
  const [first, second] = [figure(low), figure(high)];
  return first === second ? first : `${first} – ${second}`;
}

/** Returns a figure with the SI prefix that fits: "6.8 mJ". */
export function prefixed(value, unit) {
  if (!known(value)) return `${NONE} ${unit}`;
  const size = Math.abs(value);
  if (size >= 1e3) return `${figure(value / 1e3)} k${unit}`;
  if (size >= 1 || size === 0) return `${figure(value)} ${unit}`;
  if (size >= 1e-3) return `${figure(value * 1e3)} m${unit}`;
  return `${figure(value * 1e6)} µ${unit}`;
}

/** Returns an age in milliseconds with the unit that fits. */
export function age(ms) {
  if (!known(ms)) return `${NONE} ms`;
  return ms < 10_000 ? `${ms.toFixed(0)} ms` : duration(ms / 1e3);
}

/** Returns a duration in its largest unit. */
export function duration(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds < 90) return `${Math.max(0, seconds).toFixed(0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 129_600 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86_400).toFixed(0)} d`;
}

/** Returns the local time of day of a unix time, as 22:05:13. */
export function clock(unix) {
  if (!known(unix)) return NONE;
  const at = new Date(unix * 1e3);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Returns a count with its noun: "1 node", "3 nodes". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
