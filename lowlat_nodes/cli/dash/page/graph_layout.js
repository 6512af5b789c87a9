// SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
// SPDX-License-Identifier: Apache-2.0
// Where the boxes of a graph stand: columns from sources to sinks, as Sugiyama, Tagawa and Toda (1981) lay them out.
// The same graph is always laid out the same.

const HEAD = 34;
const ROW = 19;
const FOOT = 6;
const GAP_X = 84;
const GAP_Y = 22;
const WAY = 8;
const LANE = 14;
const SWEEPS = 8;
const LEAST_ROW = 720;

/**
 * Lays out nodes and streams.
 *
 * @param {string[]} names of the nodes
 * @param {Array<{from: string, to: string, topic: string, transport: string}>} streams
 * @param {(node: string, topics: string[]) => number} widthOf the width of a box with rows for these topics
 * @returns {{width: number, height: number, boxes: Array, wires: Array}} boxes {name, x, y, width, height, outputs:
 *   [{topic, y}]} and wires {stream, path}
 */
export function layOut(names, streams, widthOf) {
  const wires = distinct(streams);
  const joined = new Set(wires.flatMap(({ from, to }) => [from, to]));
  const nodes = [...joined].sort();
  const alone = names.filter((name) => !joined.has(name)).sort();
  const order = sequence(nodes, wires);
  const rank = new Map(order.map((name, i) => [name, i]));
  const forward = wires.filter(({ from, to }) => rank.get(from) < rank.get(to));
  const back = wires.filter(({ from, to }) => rank.get(from) >= rank.get(to));
  const layers = columns(order, forward);
  const cells = new Map(nodes.map((name) => [name, box(name, layers.get(name), wires, widthOf)]));
  const links = threaded(forward, layers, cells);
  const parts = components(nodes, wires);
  let top = 0;
  for (const part of parts) {
    const inside = links.filter(({ part: name }) => part.names.has(name)).map(({ ends }) => ends);
    const grid = arranged([...cells.values()].filter((cell) => part.names.has(cell.part ?? cell.name)));
    sweep(grid, inside);
    part.bottom = settle(grid, inside, top);
    part.back = back.filter(({ from }) => part.names.has(from));
    top = part.bottom + LANE * part.back.length + GAP_Y;
  }
  place([...cells.values()]);
  return aside(draw(cells, forward, parts, Math.max(0, top - GAP_Y)), alone, widthOf);
}

/** Those that hear of each other by any way; the largest first. */
function components(nodes, wires) {
  const found = [];
  for (const name of nodes) {
    if (found.some((part) => part.names.has(name))) continue;
    const names = new Set([name]);
    for (const member of names) {
      for (const { from, to } of wires) {
        if (from === member) names.add(to);
        if (to === member) names.add(from);
      }
    }
    found.push({ names, bottom: 0, back: [] });
  }
  return found.sort((a, b) => b.names.size - a.names.size);
}

/** Adds those who have no streams in rows below the others. */
function aside(plan, names, widthOf) {
  const right = Math.max(plan.width + plan.left, LEAST_ROW);
  let [x, y] = [0, plan.boxes.length ? plan.height + GAP_Y : 0];
  for (const name of names) {
    const width = widthOf(name, []);
    if (x > 0 && x + width > right) [x, y] = [0, y + HEAD + GAP_Y];
    plan.boxes.push({ name, x, y, width, height: HEAD, outputs: [] });
    plan.width = Math.max(plan.width, x + width - 2 * plan.left);
    plan.height = y + HEAD;
    x += width + GAP_Y;
  }
  return plan;
}

function distinct(streams) {
  const found = new Map();
  for (const stream of streams) found.set([stream.from, stream.to, stream.topic, stream.transport].join("\n"), stream);
  return [...found.keys()].sort().map((key) => found.get(key));
}

/** An order in which few streams run backwards (Eades, Lin and Smyth 1993). */
function sequence(nodes, wires) {
  const left = new Set(nodes);
  const [first, last] = [[], []];
  const degree = (name, end) => wires.filter((wire) => wire[end] === name && wire.from !== wire.to && left.has(wire.from) && left.has(wire.to)).length;
  const whole = (name, end) => wires.filter((wire) => wire[end] === name).length;
  while (left.size) {
    const all = [...left];
    const sink = all.find((name) => !degree(name, "from") && degree(name, "to"));
    const source = all.find((name) => !degree(name, "to"));
    let chosen = sink ?? source;
    if (chosen === undefined) {
      // Of those that are equal in what is left, the one that feeds more of the whole.
      const surplus = (name) => [degree(name, "from") - degree(name, "to"), whole(name, "from") - whole(name, "to")];
      const before = (a, b) => a[0] - b[0] || a[1] - b[1];
      chosen = all.reduce((best, name) => (before(surplus(name), surplus(best)) > 0 ? name : best));
    }
    if (chosen === sink) last.unshift(chosen);
    else first.push(chosen);
    left.delete(chosen);
  }
  return [...first, ...last];
}

/** The column of each node: one after the last of those that it hears. */
function columns(order, forward) {
  const layers = new Map();
  for (const name of order) {
    const before = forward.filter(({ to }) => to === name).map(({ from }) => layers.get(from));
    layers.set(name, before.length ? Math.max(...before) + 1 : 0);
  }
  // A source stands next to the first who hears it, and not at the far left.
  for (const name of [...order].reverse()) {
    const after = forward.filter(({ from }) => from === name).map(({ to }) => layers.get(to));
    const before = forward.some(({ to }) => to === name);
    if (!before && after.length) layers.set(name, Math.min(...after) - 1);
  }
  return layers;
}

function box(name, layer, wires, widthOf) {
  const outputs = [...new Map(wires.filter((wire) => wire.from === name).map((wire) => [wire.topic, wire])).keys()];
  const inputs = [...new Map(wires.filter((wire) => wire.to === name).map((wire) => [`${wire.from}\n${wire.topic}`, wire])).keys()];
  const height = HEAD + FOOT + ROW * Math.max(outputs.length, Math.ceil(inputs.length * 0.6));
  return { name, layer, outputs, inputs, width: widthOf(name, outputs), height, x: 0, y: 0 };
}

/** Splits each forward stream into steps from column to column; where it passes a column, it needs a way through. */
function threaded(forward, layers, cells) {
  const links = [];
  const ways = new Map();
  for (const wire of forward) {
    let previous = cells.get(wire.from);
    wire.ways = [];
    for (let layer = layers.get(wire.from) + 1; layer < layers.get(wire.to); layer += 1) {
      const key = `${wire.from}\n${wire.topic}\n${layer}`;
      let way = ways.get(key);
      if (!way) {
        way = { name: key, way: true, part: wire.from, layer, width: 0, height: WAY, x: 0, y: 0 };
        ways.set(key, way);
        cells.set(`way ${key}`, way);
        links.push({ part: wire.from, ends: [previous, way] });
      }
      wire.ways.push(way);
      previous = way;
    }
    links.push({ part: wire.from, ends: [previous, cells.get(wire.to)] });
  }
  return links;
}

function arranged(cells) {
  const grid = [];
  for (const cell of cells) (grid[cell.layer] ??= []).push(cell);
  return grid.filter(Boolean);
}

const middle = (cell) => cell.y + cell.height / 2;

function neighbours(links) {
  const [before, after] = [new Map(), new Map()];
  for (const [from, to] of links) {
    if (!after.has(from)) after.set(from, []);
    if (!before.has(to)) before.set(to, []);
    after.get(from).push(to);
    before.get(to).push(from);
  }
  return { before, after };
}

/** Orders each column by where its neighbours stand, from left to right and back. */
function sweep(grid, links) {
  const { before, after } = neighbours(links);
  grid.forEach((column) => column.forEach((cell, i) => (cell.rank = i)));
  for (let pass = 0; pass < SWEEPS; pass += 1) {
    const down = pass % 2 === 0;
    for (const column of down ? grid : [...grid].reverse()) {
      for (const cell of column) {
        const near = (down ? before : after).get(cell) ?? [];
        cell.weight = near.length ? near.reduce((sum, other) => sum + other.rank, 0) / near.length : cell.rank;
      }
      column.sort((a, b) => a.weight - b.weight || a.rank - b.rank);
      column.forEach((cell, i) => (cell.rank = i));
    }
  }
}

/** Moves each cell towards its neighbours as far as those above and below it allow; returns where the lowest ends. */
function settle(grid, links, ceiling) {
  const { before, after } = neighbours(links);
  for (const column of grid) stack(column, column.map(() => 0));
  for (let pass = 0; pass < SWEEPS; pass += 1) {
    for (const column of pass % 2 ? [...grid].reverse() : grid) {
      const wanted = column.map((cell) => {
        const near = [...(before.get(cell) ?? []), ...(after.get(cell) ?? [])];
        return near.length ? near.reduce((sum, other) => sum + middle(other), 0) / near.length - cell.height / 2 : cell.y;
      });
      stack(column, wanted);
    }
  }
  const all = grid.flat();
  const top = Math.min(...all.map((cell) => cell.y));
  for (const cell of all) cell.y = Math.round(cell.y - top) + ceiling;
  return Math.max(...all.map((cell) => cell.y + cell.height));
}

function stack(column, wanted) {
  let floor = -Infinity;
  column.forEach((cell, i) => {
    cell.y = Math.max(wanted[i], floor);
    floor = cell.y + cell.height + GAP_Y;
  });
  const off = column.reduce((sum, cell, i) => sum + wanted[i] - cell.y, 0) / column.length;
  for (const cell of column) cell.y += off;
}

/** Sets the columns side by side, each as wide as its widest box. */
function place(cells) {
  let x = 0;
  for (const column of arranged(cells)) {
    const width = Math.max(...column.map((cell) => cell.width));
    for (const cell of column) Object.assign(cell, { x, width });
    x += width + GAP_X;
  }
}

function draw(cells, forward, parts, bottom) {
  const back = parts.flatMap((part) => part.back);
  const boxes = [...cells.values()].filter((cell) => !cell.way);
  const right = Math.max(0, ...boxes.map((cell) => cell.x + cell.width));
  const out = (wire) => {
    const cell = cells.get(wire.from);
    return [cell.x + cell.width, cell.y + HEAD + ROW * (cell.outputs.indexOf(wire.topic) + 0.5)];
  };
  const into = arrivals(cells, [...forward, ...back]);
  const wires = forward.map((wire) => ({ stream: wire, path: curve([out(wire), ...wire.ways.flatMap(({ x, y, width }) => [[x, y + WAY / 2], [x + width, y + WAY / 2]]), into(wire)]) }));
  for (const part of parts) {
    part.back.forEach((wire, i) => wires.push({ stream: wire, path: around(out(wire), into(wire), part.bottom + LANE * (i + 1), 16 + 5 * (i % 6)) }));
  }
  for (const wire of forward) delete wire.ways;
  const margin = back.length ? 16 + 5 * Math.min(back.length, 6) + 4 : 4;
  return {
    left: -margin,
    width: right + 2 * margin,
    height: bottom,
    boxes: boxes.map(({ name, x, y, width, height, outputs }) => ({ name, x, y, width, height, outputs: outputs.map((topic, i) => ({ topic, y: y + HEAD + ROW * (i + 0.5) })) })),
    wires,
  };
}

/** Where streams enter a box: evenly down its left side, in the order of where they come from. */
function arrivals(cells, wires) {
  const ports = new Map();
  for (const cell of cells.values()) {
    if (cell.way) continue;
    const from = (key) => cells.get(key.split("\n")[0]);
    const height = (key) => {
      const source = from(key);
      return source.x >= cell.x ? Infinity : source.y + ROW * source.outputs.indexOf(key.split("\n")[1]);
    };
    const keys = [...cell.inputs].sort((a, b) => {
      const [first, second] = [height(a), height(b)];
      return first === second ? (a < b ? -1 : 1) : first - second;
    });
    keys.forEach((key, i) => ports.set(`${cell.name}\n${key}`, [cell.x, cell.y + 12 + ((cell.height - 24) * (i + 0.5)) / keys.length]));
  }
  return (wire) => ports.get(`${wire.to}\n${wire.from}\n${wire.topic}`);
}

function curve(points) {
  let path = `M${points[0].join(" ")}`;
  for (let i = 1; i < points.length; i += 1) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    const bend = (x1 - x0) / 2;
    path += y0 === y1 ? `L${x1} ${y1}` : `C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
  }
  return path;
}

/** Below all boxes, from the right of one to the left of another. */
function around([x0, y0], [x1, y1], lane, by) {
  const r = 7;
  return (
    `M${x0} ${y0}H${x0 + by - r}q${r} 0 ${r} ${r}V${lane - r}q0 ${r} ${-r} ${r}` +
    `H${x1 - by + r}q${-r} 0 ${-r} ${-r}V${y1 + r}q0 ${-r} ${r} ${-r}H${x1}`
  );
}
