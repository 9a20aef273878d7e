// When something was away: KATA's state as a strip, each outage as bars, on the charts' time axis.

import { el, foreign, mark, svg, update } from "./dom.js";
import { lasting, moment, sentence } from "./format.js";
import { LEFT, RIGHT, timeAxis } from "./chart.js";
import { linear, stretches } from "./scale.js";
import { outage } from "./words.js";

const BAR = 12;

/** The same outage of the same thing, as one row: the latest first, those that last before others. */
export function rows(outages) {
  const found = new Map();
  for (const each of outages) {
    const key = `${each.kind} ${each.subject}`;
    if (!found.has(key)) found.set(key, { key, kind: each.kind, subject: each.subject, times: [] });
    found.get(key).times.push(each);
  }
  const all = [...found.values()];
  for (const row of all) {
    row.times.sort((one, other) => other.begin - one.begin);
    row.lasts = row.times.some((each) => each.end === null);
  }
  return all.sort((one, other) => other.lasts - one.lasts || other.times[0].begin - one.times[0].begin);
}

function words(row, now) {
  const [latest] = row.times;
  const end = latest.end ?? now;
  const length = lasting(end - latest.begin);
  const when = latest.end === null
    ? `since ${moment(latest.begin, now)} (${length})`
    : `${moment(latest.begin, now)} to ${moment(latest.end, now)} (${length})`;
  return row.times.length > 1 ? `${when}, ${row.times.length} times` : when;
}

/** All of it in one block; made once, drawn anew. */
export class Timeline {
  constructor() {
    this.strip = svg("svg", { class: "strip", height: BAR + 26, role: "img" });
    this.words = el("span", { class: "soft" });
    this.list = el("ol", { class: "outages" });
    this.note = el("p", { class: "soft" });
    this.node = el("section", { class: "timeline", "aria-labelledby": "timeline-title" },
      el("figure", { class: "chart", id: "figure-kata" },
        el("figcaption", {}, el("h3", { id: "timeline-title" }, "KATA and outages"), this.words,
          el("ul", { class: "legend" },
            this.key("up", "takes files"), this.key("down", "takes none"), this.key("unknown", "not known"))),
        this.strip),
      this.list, this.note);
    new ResizeObserver(() => this.draw()).observe(this.strip);
  }

  key(tone, label) {
    return el("li", {}, svg("svg", { class: "key", width: 14, height: 10, "aria-hidden": "true" },
      svg("rect", { class: `bar ${tone}`, x: 0.5, y: 0.5, width: 12, height: 9 }),
      tone === "down" ? svg("path", { class: "hatch", d: "M2 9.5L8 .5M6 9.5L12 .5" }) : null), label);
  }

  show(data, live) {
    this.data = data;
    this.live = live;
    this.draw();
  }

  draw() {
    const width = this.strip.clientWidth || this.strip.getBoundingClientRect().width;
    if (!this.data || !this.live || width < 80) return;
    const values = this.data.series.kata ?? [];
    const length = Math.max(values.length, 2);
    const { end, step } = this.data;
    this.from = end - step * (length - 1);
    this.x = linear([this.from, end], [LEFT, width - RIGHT]);
    this.strip.setAttribute("viewBox", `0 0 ${width} ${BAR + 26}`);
    update(this.strip, timeAxis(this.from, end, width, BAR + 26), this.stretches(values));
    this.describe(values);
    this.outages(width);
  }

  stretches(values) {
    const { step } = this.data;
    return stretches(values).map(([value, first, last]) => {
      const begin = this.from + step * Math.max(0, first - 0.5);
      const end = this.from + step * Math.min(values.length - 1, last + 0.5);
      const tone = value === null || value === undefined ? "unknown" : value ? "up" : "down";
      return this.bar(tone, begin, end, 9);
    });
  }

  /** Bars that mean "away" are hatched, too: they are told apart without colour. */
  bar(tone, begin, end, y) {
    const left = Math.max(LEFT, this.x(Math.max(begin, this.from)));
    const width = Math.max(2, this.x(end) - left);
    const shapes = [svg("rect", { class: `bar ${tone}`, x: left, y, width, height: BAR })];
    if (tone !== "down") return shapes;
    let d = "";
    for (let at = left - BAR; at < left + width; at += 5) {
      const [from, to] = [Math.max(left, at), Math.min(left + width, at + BAR)];
      const height = (x) => (y + BAR - (x - at)).toFixed(1);
      if (to > from) d += `M${from.toFixed(1)} ${height(from)}L${to.toFixed(1)} ${height(to)}`;
    }
    return [...shapes, svg("path", { class: "hatch", d })];
  }

  describe(values) {
    const known = values.filter((value) => value !== null && value !== undefined);
    const up = known.filter(Boolean).length;
    const share = known.length ? Math.floor((1000 * up) / known.length) / 10 : 0;
    const text = known.length ? `took files ${share} % of the time` : "nothing known yet";
    this.words.textContent = text;
    this.strip.setAttribute("aria-label", `KATA's state: ${text}`);
  }

  outages(width) {
    const { now } = this.live;
    const all = rows(this.live.outages ?? []);
    const inside = all.filter((row) => row.times.some((each) => (each.end ?? now) >= this.from));
    update(this.list, inside.map((row) => this.row(row, width, now)));
    const older = all.length - inside.length;
    const day = this.data.end - this.from > 7200;
    const earlier = older && !day ? `${older} more in the last 24 hours: choose “day”.` : "";
    this.note.textContent = inside.length ? earlier : `No outage in this time. ${earlier}`;
  }

  row(row, width, now) {
    const [latest] = row.times;
    const { word, past, todo } = outage(row.kind);
    const box = `0 0 ${width} ${BAR + 4}`;
    const detail = latest.detail ? [foreign(sentence(latest.detail)), " "] : null;
    const shown = row.times.filter((each) => (each.end ?? now) >= this.from);
    return el("li", { "data-key": row.key, class: row.lasts ? "lasts" : "" },
      el("div", { class: "outage" },
        row.lasts ? mark("✕") : null, el("strong", {}, row.lasts ? word : past), " ",
        foreign(row.subject), " ",
        el("span", { class: "when" }, words(row, now))),
      svg("svg", { class: "strip", height: BAR + 4, viewBox: box, "aria-hidden": "true" },
        svg("line", { class: "base", x1: LEFT, x2: width - RIGHT, y1: BAR + 2.5, y2: BAR + 2.5 }),
        shown.map((each) => this.bar("down", each.begin, Math.min(each.end ?? now, this.data.end), 1))),
      row.lasts ? el("p", { class: "soft" }, detail, todo) : null);
  }
}
