// The first view: charts, outages, and what is connected.

import { Chart, Cursor } from "./chart.js";
import { el, update } from "./dom.js";
import { bytes, figure, span } from "./format.js";
import { tables } from "./tables.js";
import { Timeline } from "./timeline.js";
import { OUTCOMES } from "./words.js";

const outcomes = Object.entries(OUTCOMES).map(([key, { word }]) => ({ key, label: word, tone: `of-${key}` }));

function plans(program) {
  const all = program === "watch" ? "Files" : "Requests";
  return [
    { id: "requests", title: all, unit: "a second", lines: [{ key: "requests", label: all.toLowerCase(), tone: "first" }], format: figure },
    { id: "outcomes", title: "Cases by outcome", unit: "a second", stack: true, lines: outcomes, format: figure, height: 150 },
    { id: "time", title: "Time to verdict", unit: "of KATA's", format: span, lines: [
      { key: "p50", label: "half within", tone: "first" }, { key: "p95", label: "95 % within", tone: "second", dashed: true }] },
    { id: "flight", title: "At KATA", unit: "and waiting", format: figure, least: 4, lines: [
      { key: "in_flight", label: "at KATA", tone: "first" }, { key: "queue", label: "waiting", tone: "second", dashed: true }] },
    { id: "fds", title: "Descriptors", unit: "open", format: figure, least: 20, lines: [{ key: "fds", label: "open", tone: "first" }], limit: (live) => live?.figures.max_fds },
    { id: "spool", title: "Spool", unit: "on disk", format: bytes, base: 1024, least: 1048576, lines: [{ key: "spool_bytes", label: "bodies", tone: "first" }], limit: (live) => live?.figures.spool_max_bytes },
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
    this.choice = el("div", { class: "choice", role: "group", "aria-label": "Time that the charts show" },
      ["hour", "day"].map((each) => el("button", { type: "button", "data-span": each, on: { click: () => choose(each) } }, each)));
    this.node = el("div", { class: "overview" },
      el("section", { class: "graphs", "aria-labelledby": "graphs-title" },
        el("header", { class: "bar-head" }, el("h1", { id: "graphs-title", class: "unseen", tabindex: "-1" }, "Overview"), el("h2", {}, "Last"), this.choice, this.note),
        this.timeline.node, this.charts),
      this.beside);
  }

  span(name) {
    for (const button of this.choice.children) button.setAttribute("aria-pressed", button.dataset.span === name);
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
