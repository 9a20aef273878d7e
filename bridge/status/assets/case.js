// Everything known of one case.

import { acts, done } from "./acts.js";
import { ask } from "./api.js";
import { decisionBadge, outcomeBadge } from "./badge.js";
import { el, foreign, mark } from "./dom.js";
import { bytes, clock, count, day, parsed, sentence, span } from "./format.js";
import { Known } from "./known.js";
import { caseHash, searchHash } from "./route.js";
import { CONTEXT, DECISIONS, DOOR_SAYS, KEYS, MODES, OUTCOMES, RULES, SOURCES } from "./words.js";

const HISTORY = "log-history.log";

const soft = (...words) => el("span", { class: "soft" }, ...words);
const said = (code, words) => [foreign(code), words ? soft(` ${words}`) : null];
const code = (text) => el("bdi", { class: "foreign code" }, text);
const link = (filters, node) => el("a", { href: searchHash(filters) }, node);

function time(text) {
  const at = parsed(text);
  if (at === null) return foreign(text);
  return el("time", { datetime: text, title: text }, `${day(at)} ${clock(at, true)}`);
}

/** How a key's value is shown; without one it is text. */
const SHOW = {
  size: (value) => `${bytes(value)} (${count(value)} bytes)`,
  sha256: (value) => link({ hash: value }, code(value)),
  md5: (value) => link({ hash: value }, code(value)),
  outcome: (value) => [outcomeBadge(value), soft(` ${OUTCOMES[value]?.says ?? ""}`)],
  decision: (value) => [decisionBadge(value), soft(` ${DECISIONS[value]?.says ?? ""}`)],
  source: (value) => said(value, SOURCES[value]),
  rule: (value) => said(value, RULES[value]),
  mode: (value) => said(value, MODES[value]),
  door: (value) => said(value, DOOR_SAYS[value]),
  threat: (value) => foreign(value, { class: "foreign bad" }),
  waited_ms: (value) => `${span(value / 1000)} from its beginning to this record`,
  late: (value) => (value ? "yes: it was found after the object had passed" : "no"),
  scan_id: code,
  case: code,
  time: (value) => [time(value), " ", el("span", { class: "soft code whole" }, foreign(value))],
  client_ip: (value) => link({ client: value }, foreign(value)),
  user: (value) => link({ user_is: value }, foreign(value)),
  by: (value) => link({ user_is: value }, foreign(value)),
  quarantined_as: (value) => el("a", { href: caseHash(value) }, code(value)),
};

function plain(value) {
  if (value === null || value === undefined || value === "") return soft("–");
  return foreign(typeof value === "object" ? JSON.stringify(value) : String(value));
}

function entry(key, label, value) {
  const empty = value === null || value === undefined || value === "";
  return el("div", { class: empty ? "empty" : "" }, el("dt", { title: key }, label),
    el("dd", {}, empty || !SHOW[key] ? plain(value) : SHOW[key](value)));
}

function group(title, entries) {
  return el("section", { class: "card" }, el("h2", {}, title), el("dl", { class: "record" }, entries));
}

function fields(record) {
  const listed = new Set(["context", ...KEYS.flatMap(([, keys]) => keys.map(([key]) => key))]);
  const context = Object.entries(record.context ?? {})
    .map(([key, value]) => entry(key, CONTEXT[key] ?? key, value));
  const rest = Object.entries(record)
    .filter(([key]) => !listed.has(key))
    .map(([key, value]) => entry(key, key, value));
  return KEYS.map(([title, keys], at) => {
    const own = keys.map(([key, label]) => entry(key, label, record[key]));
    return group(title, at === KEYS.length - 1 ? [...own, ...context, ...rest] : own);
  });
}

function detection(each) {
  const late = each.late ? el("strong", {}, " late: found after the object had passed") : null;
  const about = [each.technology, each.importance].filter(Boolean);
  return el("li", {},
    el("p", { class: "bad" }, mark("✕"), foreign(each.threat ?? "threat without a name"), late),
    el("p", { class: "soft" }, time(each.time), about.map((text) => [" · ", foreign(text)])));
}

function detections(list) {
  if (!list.length) return null;
  return el("section", { class: "card" }, el("h2", {}, "Detections"),
    el("ol", { class: "rows" }, list.map(detection)));
}

function log(lines) {
  return el("section", { class: "card" }, el("h2", {}, "Service log"),
    lines.length
      ? el("ol", { class: "log" }, lines.map((line) => el("li", {}, foreign(line))))
      : el("p", { class: "soft" }, "No line of the service logs names the case."));
}

function related(record) {
  const context = record.context ?? {};
  const links = [
    context.quarantined_as
      ? el("a", { href: caseHash(context.quarantined_as) }, "case of this file until then") : null,
    record.sha256 ? link({ hash: record.sha256 }, "cases with these bytes") : null,
    ...["client_ip", "user"].filter((key) => context[key]).map((key) =>
      link({ [key === "user" ? "user_is" : "client"]: context[key] }, ["cases of ", foreign(context[key])])),
    context.folder ? link({ door: "FOLDER" }, "cases of folders") : null,
  ].filter(Boolean);
  return el("nav", { class: "related", "aria-label": "Related cases" }, links);
}

function headline(record, found, since) {
  const late = found.some((each) => each.late);
  return el("div", { class: "verdict" },
    decisionBadge(record.decision), outcomeBadge(record.outcome),
    late ? el("strong", { class: "bad" }, "a threat was found after it had passed") : null,
    record.threat ? foreign(record.threat, { class: "foreign bad" }) : null,
    done(since, record));
}

/** What cannot be shown, and why. */
function lacking(record, complete, missing) {
  const gone = Object.values(missing).map((why) => el("p", {}, mark("!"), foreign(`${sentence(why)} `),
    "What it holds of this case is not shown."));
  const none = complete
    ? "log-history.log holds no record of this case: it goes on, or its file was rotated away, or there never was one."
    : "The logs are too long to be looked through here: kata-bridge history --case finds it.";
  const part = "The logs are too long to be looked through here: there may be more of this case in them.";
  const unseen = record ? (complete ? null : part) : HISTORY in missing ? null : none;
  if (!gone.length && !unseen) return null;
  return el("div", { class: "card lacking" }, gone, unseen ? el("p", {}, unseen) : null);
}

export class CasePage {
  constructor(guarded, now) {
    Object.assign(this, { guarded, now, turn: 0 });
    this.title = el("h1", { tabindex: "-1" });
    this.notice = el("div", { class: "notice" });
    this.body = el("div", { class: "casebody" });
    this.node = el("article", { class: "case" },
      el("p", { class: "back" }, el("a", { href: "#/history" }, "History")),
      this.title, this.notice, this.body);
    this.back = this.node.querySelector(".back a");
  }

  forget() {
    this.turn += 1;
    this.body.replaceChildren();
  }

  async show(id, from) {
    const turn = ++this.turn;
    this.id = id;
    this.back.setAttribute("href", from);
    this.title.replaceChildren("Case ", code(id));
    this.body.replaceChildren(el("p", { class: "soft" }, "Loading …"));
    const done = await this.guarded(async () => {
      const answer = await ask(`api/case/${encodeURIComponent(id)}`, { secret: true, seconds: 20 });
      if (turn === this.turn) this.take(answer);
    }, this.notice, () => this.show(id, from));
    if (!done && turn === this.turn) this.body.replaceChildren();
  }

  take(answer) {
    const { record, detections: found, log: lines, complete = true, missing = {} } = answer;
    const since = answer.acts ?? [];
    const about = record ?? found[0] ?? since[0] ?? null;
    const verdict = new Known(about?.sha256 ?? null, about?.name ?? "", this.guarded, this.now);
    verdict.show(answer.known, answer.known_fault);
    this.body.replaceChildren(...[
      record ? el("p", { class: "object" }, foreign(record.name || "(no name)")) : null,
      record ? headline(record, found, since) : null,
      lacking(record, complete, missing),
      record ? related(record) : null,
      el("div", { class: "columns" },
        el("div", {}, acts(since, record, time), detections(found), record ? fields(record).slice(0, 2) : null),
        el("div", {}, record ? fields(record)[2] : null, about ? verdict.node : null)),
      log(lines),
    ].filter(Boolean));
  }
}
