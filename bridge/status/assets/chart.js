// One chart: lines or a stack over time, with axes, gaps and a readout. Made once, drawn anew.

import { el, svg, update } from "./dom.js";
import { clock, day, moment } from "./format.js";
import { areaPath, linear, linePath, most, runs, stacked, ticks, timeTicks } from "./scale.js";

export const LEFT = 54; // pixels beside the plot; the same for all: times lie below each other
export const RIGHT = 12;
const TOP = 8;
const BOTTOM = 18;
const PAGE = 10; // steps of PageUp and PageDown

/** What all charts share: the moment that is read out. `index` null: the last. */
export class Cursor {
  constructor() {
    this.index = null;
    this.followers = [];
  }

  move(index) {
    if (index === this.index) return;
    this.index = index;
    for (const act of this.followers) act();
  }
}

/** Times below a plot; a day's begin names the day. */
export function timeAxis(from, to, width, height) {
  const x = linear([from, to], [LEFT, width - RIGHT]);
  const wanted = Math.max(2, Math.floor((width - LEFT - RIGHT) / 74));
  return timeTicks(from, to, wanted).map((time) => {
    const label = clock(time) === "00:00" ? day(time) : clock(time);
    return [
      svg("line", { class: "grid", x1: x(time), x2: x(time), y1: TOP, y2: height - BOTTOM }),
      svg("text", { class: "tick", x: x(time), y: height - 4, "text-anchor": "middle" }, label),
    ];
  });
}

const last = (values) => (values.length ? values[values.length - 1] : null);

/**
 * `plan`: `{id, title, unit, lines: [{key, label, tone, dashed}], stack, format, base, least, limit}`;
 * `format` makes text of a value, `limit(live)` is a bound that is said beside the unit.
 */
export class Chart {
  constructor(plan, cursor) {
    this.plan = plan;
    this.cursor = cursor;
    this.data = null;
    this.height = plan.height ?? 116;
    const ids = { title: `chart-${plan.id}`, summary: `chart-${plan.id}-summary` };
    this.legend = el("ul", { class: "legend" });
    this.bound = el("span", { class: "soft" });
    this.summary = el("p", { class: "unseen", id: ids.summary });
    this.picture = svg("svg", {
      class: "plot", height: this.height, tabindex: "0", role: "slider",
      "aria-labelledby": ids.title, "aria-describedby": ids.summary,
      "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0",
      "aria-valuetext": "no data yet",
    });
    this.shapes = svg("g");
    this.hair = svg("g", { class: "hair" });
    this.picture.append(this.shapes, this.hair);
    this.node = el("figure", { class: "chart", id: `figure-${plan.id}` },
      el("figcaption", {},
        el("h3", { id: ids.title }, plan.title), el("span", { class: "soft" }, plan.unit),
        this.bound, this.legend),
      this.picture, this.summary);
    this.listen();
    cursor.followers.push(() => this.point());
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  listen() {
    const at = (event) => this.cursor.move(this.indexAt(event));
    this.picture.addEventListener("pointermove", at);
    this.picture.addEventListener("pointerdown", at);
    this.picture.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.cursor.move(null);
    });
    this.picture.addEventListener("keydown", (event) => this.step(event));
    this.picture.addEventListener("blur", () => this.cursor.move(null));
  }

  indexAt(event) {
    if (!this.data || this.length < 2) return null;
    const { left, width } = this.picture.getBoundingClientRect();
    const part = (event.clientX - left - LEFT) / (width - LEFT - RIGHT);
    return Math.min(this.length - 1, Math.max(0, Math.round(part * (this.length - 1))));
  }

  step(event) {
    const end = this.length - 1;
    const now = this.cursor.index ?? end;
    const steps = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1,
      PageDown: now - PAGE, PageUp: now + PAGE, Home: 0, End: end, Escape: null };
    const other = event.ctrlKey || event.altKey || event.metaKey;
    if (!(event.key in steps) || other || !this.data) return;
    event.preventDefault();
    const next = steps[event.key];
    this.cursor.move(next === null ? null : Math.min(end, Math.max(0, next)));
  }

  /** A new answer of `/api/series`, and the last of `/api/live`. */
  show(data, live) {
    this.data = data;
    this.live = live;
    this.length = Math.max(0, ...Object.values(data.series).map((values) => values.length));
    this.draw();
  }

  values(key) {
    return this.data.series[key] ?? Array(this.length).fill(null);
  }

  get from() {
    return this.data.end - this.data.step * (this.length - 1);
  }

  draw() {
    const width = this.picture.clientWidth || this.picture.getBoundingClientRect().width;
    if (!this.data || width < 80) return;
    const { plan } = this;
    this.picture.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.width = width;
    const lines = plan.lines.map(({ key }) => this.values(key));
    const sums = plan.stack ? stacked(lines, this.length) : [];
    const top = most(plan.stack ? [sums[sums.length - 1]] : lines);
    const marks = ticks(top, 3, { base: plan.base, least: plan.least });
    this.y = linear([0, marks[marks.length - 1]], [this.height - BOTTOM, TOP]);
    this.x = linear([0, this.length - 1], [LEFT, width - RIGHT]);
    const known = lines.some((values) => runs(values).length);
    const drawn = known ? this.marks(lines, sums) : this.nothing(width);
    update(this.shapes, this.axes(marks, width), drawn);
    const bound = plan.limit?.(this.live);
    this.bound.textContent = bound ? `of ${plan.format(bound)}` : "";
    this.describe(lines, known);
    this.point();
  }

  nothing(width) {
    const x = LEFT + (width - LEFT - RIGHT) / 2;
    const place = { class: "tick", x, y: this.height / 2, "text-anchor": "middle" };
    return svg("text", place, "nothing known yet");
  }

  axes(marks, width) {
    return [
      timeAxis(this.from, this.data.end, width, this.height),
      marks.map((value) => this.level(value, this.y(value), width)),
    ];
  }

  level(value, y, width) {
    const place = { class: "tick", x: LEFT - 6, y: y + 3.5, "text-anchor": "end" };
    return [
      svg("line", { class: value ? "grid" : "base", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
      svg("text", place, this.plan.format(value)),
    ];
  }

  marks(lines, sums) {
    const { plan, x, y } = this;
    return plan.lines.map((line, at) => svg("path", {
      "data-key": line.key,
      class: this.tone(line),
      d: plan.stack ? areaPath(sums[at], sums[at + 1], x, y) : linePath(lines[at], x, y),
    }));
  }

  tone({ tone, dashed }) {
    if (this.plan.stack) return `area ${tone}`;
    return `line ${tone}${dashed ? " dashed" : ""}`;
  }

  /** The readout: at the cursor, or of the end. */
  point() {
    if (!this.data || !this.x) return;
    const at = this.cursor.index === null ? null : Math.min(this.cursor.index, this.length - 1);
    const readings = this.plan.lines.map((line) => {
      const values = this.values(line.key);
      return { ...line, value: at === null ? last(values) : values[at] ?? null };
    });
    const shown = this.plan.stack ? readings.filter((each) => this.ever(each.key)) : readings;
    update(this.legend, shown.slice().reverse().map((each) => this.entry(each)));
    const time = this.data.end - this.data.step * (this.length - 1 - (at ?? this.length - 1));
    const words = shown.map(({ label, value }) =>
      `${label} ${value === null ? "not known" : this.plan.format(value)}`);
    const end = Math.max(0, this.length - 1);
    this.picture.setAttribute("aria-valuemax", end);
    this.picture.setAttribute("aria-valuenow", at ?? end);
    this.picture.setAttribute("aria-valuetext", `${clock(time, true)}: ${words.join(", ")}`);
    update(this.hair, at === null ? [] : this.line(at, time));
  }

  entry(line) {
    const { label, tone, value } = line;
    return el("li", {},
      svg("svg", { class: "key", width: 18, height: 10, "aria-hidden": "true" },
        this.plan.stack
          ? svg("rect", { class: `area ${tone}`, x: 5, y: 0, width: 10, height: 10 })
          : svg("path", { class: this.tone(line), d: "M1 5H17" })),
      `${label} `, el("b", {}, value === null ? "–" : this.plan.format(value)));
  }

  line(at, time) {
    const x = this.x(at);
    const right = x > this.width - 90;
    const label = moment(time, this.data.end, this.data.step < 60);
    return [
      svg("line", { x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }),
      svg("text", { x: x + (right ? -4 : 4), y: TOP + 9, "text-anchor": right ? "end" : "start" }, label),
    ];
  }

  ever(key) {
    return key === "not_detected" || this.values(key).some((value) => value > 0);
  }

  describe(lines, known) {
    const { plan } = this;
    const long = this.data.step * (this.length - 1) > 7200 ? "day" : "hour";
    const parts = plan.lines.flatMap(({ label }, at) => {
      const values = lines[at].filter((value) => value !== null && value !== undefined);
      if (!values.length || (plan.stack && Math.max(...values) === 0)) return [];
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const [from, to, now] = [low, high, last(values)].map(plan.format);
      return [`${label} between ${from} and ${to}, ${now} last`];
    });
    const gaps = lines.length ? lines[0].filter((value) => value === null).length : 0;
    const share = Math.round((100 * gaps) / this.length);
    const unknown = gaps ? ` Nothing is known of ${share} % of the time.` : "";
    const all = `${plan.title} ${plan.unit}, over the last ${long}: ${parts.join("; ")}.${unknown}`;
    this.summary.textContent = known
      ? `${all} Arrow keys read single moments.`
      : `${plan.title}: nothing known yet.`;
  }
}
