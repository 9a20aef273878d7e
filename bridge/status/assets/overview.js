// The first view: charts, outages, and what is connected.

import { Chart, Cursor } from "./chart.js";
import { el, update } from "./dom.js";
import { bytes, figure, percent, span } from "./format.js";
import { tables } from "./tables.js";
import { Timeline } from "./timeline.js";
import { OUTCOMES } from "./words.js";

const first = (key, label) => ({ key, label, tone: "first" });
const second = (key, label) => ({ key, label, tone: "second", dashed: true });
const outcomes = Object.entries(OUTCOMES)
  .map(([key, { word }]) => ({ key, label: word, tone: `of-${key}` }));

function plans(program) {
  const all = program === "watch" ? "Files" : "Requests";
  return [
    { id: "requests", title: all, unit: "a second", format: figure,
      lines: [first("requests", all.toLowerCase())] },
    { id: "outcomes", title: "Cases by outcome", unit: "a second", format: figure,
      stack: true, lines: outcomes, height: 150 },
    { id: "time", title: "Time to verdict", unit: "of KATA's", format: span,
      lines: [first("p50", "half within"), second("p95", "95 % within")] },
    { id: "flight", title: "At KATA", unit: "and waiting", format: figure, least: 4,
      lines: [first("in_flight", "at KATA"), second("queue", "waiting")] },
    { id: "descriptors", title: "Descriptors", unit: "of those there may be", format: percent,
      least: 0.1, lines: [first("descriptors_used", "open")] },
    { id: "spool", title: "Spool", unit: "on disk", format: bytes, base: 1024, least: 2 ** 20,
      lines: [first("spool_bytes", "bodies")], limit: (live) => live?.figures.spool_max_bytes },
  ];
}

export class Overview {
  /** `choose(span)`: the other span is wanted. */
  constructor(choose) {
    this.cursor = new Cursor();
    this.timeline = new Timeline();
    this.charts = el("div", { class: "charts" });
    this.beside = el("div", { class: "beside" });
    this.drawn = [];
    this.note = el("p", { class: "bad" });
    const button = (name) =>
      el("button", { type: "button", "data-span": name, on: { click: () => choose(name) } }, name);
    const about = { class: "choice", role: "group", "aria-label": "Time that the charts show" };
    this.choice = el("div", about, ["hour", "day"].map(button));
    this.node = el("div", { class: "overview" },
      el("section", { class: "graphs", "aria-labelledby": "graphs-title" },
        el("header", { class: "bar-head" },
          el("h1", { id: "graphs-title", class: "unseen", tabindex: "-1" }, "Overview"),
          el("h2", {}, "Last"), this.choice, this.note),
        this.timeline.node, this.charts),
      this.beside);
  }

  span(name) {
    for (const button of this.choice.children) {
      button.setAttribute("aria-pressed", button.dataset.span === name);
    }
    this.cursor.move(null);
  }

  live(live) {
    if (!this.drawn.length || this.program !== live.program) {
      this.program = live.program;
      this.cursor.followers.length = 0;
      this.drawn = plans(live.program).map((plan) => new Chart(plan, this.cursor));
      this.shown = null;
      this.charts.replaceChildren(...this.drawn.map((each) => each.node));
    }
    this.last = live;
    update(this.beside, tables(live));
    this.redraw();
  }

  /** The charts stay as they are, and the page says so. */
  fault(sentence) {
    this.note.textContent = `The charts are old: ${sentence}`;
  }

  series(data) {
    this.note.textContent = "";
    this.data = data;
    this.redraw();
  }

  redraw() {
    if (!this.data || !this.last) return;
    if (this.shown !== this.data) {
      this.shown = this.data;
      for (const chart of this.drawn) chart.show(this.data, this.last);
    }
    this.timeline.show(this.data, this.last);
  }
}
