// What people did by hand with the file of a case, after it had gone to quarantine.

import { outcomeBadge } from "./badge.js";
import { el, foreign, mark } from "./dom.js";
import { caseHash } from "./route.js";
import { ACTS, RESCANS } from "./words.js";

const DELETED = "deleted by hand";
const word = (act) => ACTS[act.rule] ?? RESCANS[act.decision] ?? act.decision;
const by = (act) => (act.context?.by ? [" by ", foreign(act.context.by)] : []);

/** A sentence where what was done was not done with the bytes of the case. */
function others(act, record) {
  if (!act.sha256) return act.rule === DELETED ? "Only the note beside the file was left." : null;
  const same = !record?.sha256 || act.sha256 === record.sha256;
  return same ? null : "The file had other bytes by then than in this case.";
}

/** For the headline: the last that was done with these bytes. `acts`: the newest first. */
export function done(acts, record) {
  const act = acts.find((each) => each.decision !== "hold" && !others(each, record));
  return act ? el("strong", { class: "since" }, "since then ", word(act), by(act)) : null;
}

function entry(act, record, time) {
  const to = act.context?.moved_to;
  const note = others(act, record);
  return el("li", {},
    el("p", {}, el("strong", {}, word(act)), by(act), el("span", { class: "soft" }, " · ", time(act.time))),
    el("p", { class: "soft" },
      act.rule in ACTS ? null : [outcomeBadge(act.outcome), " "],
      to ? ["to ", foreign(to), " "] : null,
      el("a", { href: caseHash(act.case) }, "case ", el("bdi", { class: "foreign code" }, act.case))),
    note ? el("p", {}, mark("!"), note) : null);
}

/** All of them; `time(text)` shows when. */
export function acts(list, record, time) {
  if (!list.length) return null;
  return el("section", { class: "card acts-since" }, el("h2", {}, "What was done since"),
    el("ol", { class: "rows" }, list.map((act) => entry(act, record, time))));
}
