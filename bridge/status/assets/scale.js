// Where things lie on a chart. Pure: numbers in, pixels and ticks out.

/** A line from values to pixels. */
export function linear([from, to], [start, end]) {
  const step = to === from ? 0 : (end - start) / (to - from);
  return (value) => start + (value - from) * step;
}

const STEPS = [1, 2, 5, 10];

/** Ticks from 0 to at least `most`, in round steps; `base` 1024 for bytes. */
export function ticks(most, wanted, { base = 10, least = 0 } = {}) {
  const top = Math.max(most, least);
  if (!(top > 0)) return [0, 1];
  const raw = top / wanted;
  const unit = base ** Math.floor(Math.log(raw) / Math.log(base));
  const steps = base === 10 ? STEPS : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  const step = steps.find((each) => each * unit >= raw * 0.999) * unit;
  const found = [];
  do found.push(found.length * step); while (found[found.length - 1] < top * 0.999);
  return found;
}

const MINUTES = [5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720];

/** Round times between two, at most `wanted`, by the clock of the browser. */
export function timeTicks(from, to, wanted) {
  const minutes = (to - from) / 60;
  const step = (MINUTES.find((each) => minutes / each <= wanted) ?? 1440) * 60;
  const midnight = new Date(from * 1000).setHours(0, 0, 0, 0) / 1000;
  const found = [];
  for (let at = midnight; at <= to; at += step) if (at >= from) found.push(at);
  return found;
}

/** Runs of values that are known: [first, last] indices of each. */
export function runs(values) {
  const found = [];
  values.forEach((value, index) => {
    const last = found[found.length - 1];
    if (value === null || value === undefined) return;
    if (last && last[1] === index - 1) last[1] = index;
    else found.push([index, index]);
  });
  return found;
}

/** Runs of one value and the next, unknown ones too: [value, first, last]. */
export function stretches(values) {
  const found = [];
  values.forEach((value, index) => {
    const last = found[found.length - 1];
    if (last && last[0] === value) last[2] = index;
    else found.push([value, index, index]);
  });
  return found;
}

/** Sums from the bottom up, one list a line and one for the ground; null where nothing is known. */
export function stacked(lines, length) {
  const known = Array.from({ length }, (_, at) => lines.some((line) => (line[at] ?? null) !== null));
  let below = known.map((is) => (is ? 0 : null));
  const found = [below];
  for (const line of lines) {
    below = below.map((sum, at) => (sum === null ? null : sum + (line[at] ?? 0)));
    found.push(below);
  }
  return found;
}

const point = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** The `d` of a line with gaps where nothing is known. */
export function linePath(values, x, y) {
  return runs(values).map(([first, last]) => {
    if (first === last) return `M${point(x(first) - 1, y(values[first]))}h2`;
    const points = values.slice(first, last + 1).map((value, at) => point(x(first + at), y(value)));
    return `M${points.join("L")}`;
  }).join("");
}

/** The `d` of the area between two lists that have the same gaps. */
export function areaPath(below, above, x, y) {
  return runs(above).map(([first, last]) => {
    const wide = first === last ? 1 : 0; // a lone value is seen, too
    const along = Array.from({ length: last - first + 1 }, (_, at) => first + at);
    const edge = (values) => along.flatMap((at) =>
      (wide ? [-wide, wide] : [0]).map((aside) => point(x(at) + aside, y(values[at]))));
    return `M${edge(above).join("L")}L${edge(below).reverse().join("L")}Z`;
  }).join("");
}

/** The largest of the known values, 0 where there is none. */
export const most = (lists) => lists.flat().reduce((top, value) => (value > top ? value : top), 0);
