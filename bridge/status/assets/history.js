// Searching what was decided: a form, a table, and older cases on demand.

import { ask } from "./api.js";
import { decisionBadge, outcomeBadge } from "./badge.js";
import { el, foreign } from "./dom.js";
import { Filters } from "./filters.js";
import { bytes, clock, day, moment, parsed, plural } from "./format.js";
import { apiQuery, caseHash, filters, searchHash } from "./route.js";

const COLUMNS = ["Time", "Outcome", "Decision", "Object", "Client", "User", "Size", "Case"];
const column = (name) => `col-${name.toLowerCase()}`;
const CASE = /^[0-9a-z]{16}$/;
const SECONDS = 20; // the daemon searches for five, and may have others before this one

function when(record) {
  const time = parsed(record.time);
  if (time === null) return foreign(record.time ?? "–");
  return el("time", { datetime: record.time, title: record.time },
    el("span", { class: "soft" }, `${day(time)} `), clock(time, true));
}

function object(record) {
  const context = record.context ?? {};
  const where = context.url ?? context.path;
  return [
    el("a", { class: "name", href: caseHash(record.case), title: record.name },
      foreign(record.name || "(no name)")),
    where ? foreign(where, { class: "foreign where" }) : null,
    record.threat ? el("span", { class: "bad" }, foreign(record.threat)) : null,
  ];
}

function row(record) {
  const context = record.context ?? {};
  const cells = [
    when(record), outcomeBadge(record.outcome), decisionBadge(record.decision), object(record),
    foreign(context.client_ip ?? context.proxy ?? context.folder ?? "–"),
    context.user || context.by ? foreign(context.user || context.by) : "–",
    record.size === null || record.size === undefined ? "–" : bytes(record.size),
    el("a", { class: "code", href: caseHash(record.case) }, record.case),
  ];
  const label = (at) => (COLUMNS[at] === "Client" && context.folder ? "Folder" : COLUMNS[at]);
  return el("tr", { class: record.decision === "block" ? "blocked" : "" },
    cells.map((cell, at) => el("td", { "data-label": label(at), class: column(COLUMNS[at]) }, cell)));
}

export class History {
  /**
   * `guarded(work, notice, again)` runs what needs the token, or says in `notice` why not; `now()`:
   * the daemon's clock.
   */
  constructor(guarded, now) {
    Object.assign(this, { guarded, now, shown: null, turn: 0 });
    this.form = new Filters((wanted) => this.go(wanted));
    this.body = el("tbody");
    this.count = el("h2", { tabindex: "-1", id: "found" });
    this.table = el("table", { class: "cases", "aria-labelledby": "found" },
      el("thead", {}, el("tr", {}, COLUMNS.map(
        (each) => el("th", { scope: "col", class: column(each) }, each)))),
      this.body);
    this.foot = el("div", { class: "more" });
    this.notice = el("div", { class: "notice" });
    this.results = el("section", { class: "results" }, this.notice, this.count, this.table, this.foot);
    this.node = el("div", { class: "history" },
      el("h1", { tabindex: "-1" }, "History"), this.form.node, this.results);
  }

  /** A person searches: the result is what is read next. */
  go(wanted) {
    this.wished = true;
    const id = wanted.case?.trim().toLowerCase() ?? "";
    const others = Object.entries(wanted).some(([key, value]) => key !== "case" && value);
    if (CASE.test(id) && !others) {
      location.hash = caseHash(id);
      return;
    }
    const hash = searchHash(wanted);
    if (hash === location.hash) this.search(filters(new URLSearchParams(hash.split("?")[1] ?? "")));
    else location.hash = hash;
  }

  /** Shows the search of this query; one that is shown already stays as it is. */
  show(query) {
    const key = searchHash(filters(query));
    this.form.set(filters(query));
    if (key !== this.shown) this.search(filters(query));
  }

  /** Nothing of what was found stays. */
  forget() {
    this.shown = null;
    this.turn += 1;
    this.body.replaceChildren();
    this.foot.replaceChildren();
    this.count.textContent = "";
    this.table.hidden = true;
  }

  async search(wanted) {
    this.forget();
    await this.page(wanted, null);
  }

  async page(wanted, cursor) {
    const turn = ++this.turn;
    this.foot.replaceChildren(el("p", { class: "soft" }, "Searching …"));
    const done = await this.guarded(async () => {
      const query = apiQuery(wanted, this.now(), { cursor });
      const answer = await ask(`api/history?${query}`, { secret: true, seconds: SECONDS });
      if (turn === this.turn) this.take(wanted, answer);
    }, this.notice, () => this.page(wanted, cursor));
    if (!done && turn === this.turn) this.foot.replaceChildren();
  }

  take(wanted, answer) {
    this.shown = searchHash(wanted);
    const first = this.body.lastElementChild === null;
    this.body.append(...answer.cases.map(row));
    const found = this.body.children.length;
    this.table.hidden = found === 0;
    const more = answer.cursor !== null;
    const cases = found ? plural(found, "case", "cases") : more ? "No case found" : "No case fits";
    this.count.textContent = `${cases}${more ? " so far" : ""}`;
    this.foot.replaceChildren(...this.end(wanted, answer).filter(Boolean));
    if (first && this.wished) this.count.focus();
    this.wished = false;
    if (!first && answer.cases.length) {
      this.body.children[found - answer.cases.length].querySelector("a").focus();
    }
  }

  end(wanted, answer) {
    const to = parsed(answer.searched_to);
    const back = to === null ? "" : `Searched back to ${moment(to, this.now(), true)}.`;
    if (answer.cursor === null) return [el("p", { class: "soft" }, "That is all there is.")];
    const go = () => this.page(wanted, answer.cursor);
    const word = answer.complete ? "Older" : "Go on searching";
    const note = answer.complete ? back : `${back} The time for one search ran out before the end.`;
    return [
      el("button", { type: "button", class: "main", on: { click: go } }, word),
      el("p", { class: "soft" }, note),
    ];
  }
}
