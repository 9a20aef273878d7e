// What the first line says: does it work, since when not, what goes on. Pure.

import { clock, count, lasting, moment, sentence } from "./format.js";
import { outage } from "./words.js";

const SIGNS = { ok: "✓", warn: "!", stop: "✕", gone: "?" };
const rank = { ok: 0, warn: 1, stop: 2 };

const since = (begin, now) =>
  begin ? ` since ${moment(begin, now)} (${lasting(now - begin)})` : "";

/** `level` ok, warn or stop; `subject` and `rest` may hold foreign text. */
function line(level, word, begin, now, rest = "", subject = "") {
  const said = word + (begin ? ` since ${moment(begin, now)}` : "");
  return { level, word, said, since: since(begin, now), rest, subject };
}

function aboutBypass(live) {
  if (!live.bypass_until || live.bypass_until <= live.now) return [];
  const until = moment(live.bypass_until, live.now);
  const left = lasting(live.bypass_until - live.now);
  const word = `Bypass is ON until ${until}`;
  const rest = "Everything passes UNJUDGED. kata-bridge bypass --off ends it.";
  const said = `${word}, everything passes unjudged`;
  return [{ level: "stop", word, said, since: ` (${left} left)`, rest, subject: "" }];
}

function meanwhile(live) {
  const icap = "What has no known verdict is unavailable: blocked, unless the policy says otherwise.";
  const watch = "Files stay in input, unless the policy says otherwise.";
  return live.program === "watch" ? watch : icap;
}

function aboutKata(live) {
  const nodes = live.kata ?? [];
  const bad = nodes.filter((each) => each.state === "unreachable" || each.state === "not accepted");
  const works = live.ready.kata;
  if (works) {
    return bad.map((each) => {
      const what = each.state === "unreachable" ? "takes no files" : "has not accepted this system";
      const word = `Central Node ${what}`;
      return line("warn", word, each.since, live.now, each.reason ?? "", each.url);
    });
  }
  if (bad.length === 0) {
    const rest = "Nothing has had to be judged since the start, or the first answer is on its way.";
    return [{ ...line("warn", "KATA has not answered yet", null, live.now, rest), leads: true }];
  }
  const unaccepted = bad.filter((each) => each.state === "not accepted");
  const kind = unaccepted.length ? "kata_not_accepted" : "kata_unreachable";
  const begins = (unaccepted.length ? unaccepted : bad).map((each) => each.since).filter(Boolean);
  const reason = (unaccepted[0] ?? bad[0]).reason;
  const todo = unaccepted.length ? outage(kind).todo : sentence(reason);
  const begin = begins.length ? Math.max(...begins) : null; // while one worked, KATA took files
  return [line("stop", outage(kind).word, begin, live.now, `${todo} ${meanwhile(live)}`.trim())];
}

const OF_KATA = new Set(["kata_unreachable", "kata_not_accepted"]);

/** Whether other keys tell of it. A node that takes files may be out for one of several workers. */
function isTold(live, { kind, subject }) {
  if (kind === "bypass_on") return Boolean(live.bypass_until);
  const node = (live.kata ?? []).find((each) => each.url === subject);
  return OF_KATA.has(kind) && node?.state !== "ok";
}

const STOPS = new Set(["disk_full", "out_of_descriptors", "share_gone", "store_failing"]);

function aboutOutages(live) {
  const now = (live.outages ?? []).filter((each) => each.end === null && !isTold(live, each));
  return now.map((each) => {
    const level = STOPS.has(each.kind) ? "stop" : "warn";
    return line(level, outage(each.kind).word, each.begin, live.now, outage(each.kind).todo, each.subject);
  });
}

function aboutReady(live, told) {
  const lines = [];
  const last = (live.outages ?? []).filter((each) => each.end === null);
  const kinds = new Set(last.map((each) => each.kind));
  if (!live.ready.store && !kinds.has("store_failing")) {
    const { word, todo } = outage("store_failing");
    lines.push(line("stop", word, null, live.now, todo));
  }
  if (!live.ready.spool && !kinds.has("disk_full")) {
    const rest = "Bodies are unavailable until it has: look at spool.dir.";
    lines.push(line("stop", "The spool has no room", null, live.now, rest));
  }
  if (!live.ready.descriptors && !kinds.has("out_of_descriptors")) {
    const { word, todo } = outage("out_of_descriptors");
    lines.push(line("stop", word, null, live.now, todo));
  }
  return [...told, ...lines];
}

function aboutLogs(live) {
  const { log_lines_waiting: waiting = 0, log_lines_lost: lost = 0 } = live.figures ?? {};
  if (lost > 0) {
    const rest = "The disk of the logs took none for too long.";
    return [line("warn", `${count(lost)} log lines are lost`, null, live.now, rest)];
  }
  if (waiting > 0) return [line("warn", `${count(waiting)} log lines wait for the disk`, null, live.now)];
  return [];
}

function aboutFolders(live) {
  return (live.folders ?? []).filter((each) => each.troubles.length).map((each) =>
    line("warn", "Folder has trouble", null, live.now, each.troubles[0], each.name));
}

/**
 * All that is to be said of a `/api/live`, the worst first: `level` ok, warn or stop, `word`,
 * `since`, `rest` (what it means, what to do), `subject` (foreign text), `said` (for the ear: it
 * stays the same while it lasts).
 */
export function troubles(live) {
  if (!live.live) {
    const rest = "Its status page runs, the service behind it does not. Look at its log.";
    return [line("stop", `${live.program} does not respond`, null, live.now, rest)];
  }
  const told = aboutReady(live, [...aboutBypass(live), ...aboutKata(live), ...aboutOutages(live)]);
  const all = [...told, ...aboutLogs(live), ...aboutFolders(live)];
  return all.sort((one, other) => rank[other.level] - rank[one.level]);
}

/** The headline and what else there is. */
export function state(live) {
  const found = troubles(live);
  if (found.length === 0) {
    const word = "Works";
    const rest = `KATA takes files; running for ${lasting(live.now - (live.started ?? live.now))}.`;
    return { level: "ok", sign: SIGNS.ok, word, said: word, since: "", rest, subject: "", more: [] };
  }
  const [worst, ...more] = found;
  if (worst.level === "warn" && !worst.leads) {
    const said = `Works, but: ${found.map((each) => `${each.word} ${each.subject}`.trim()).join("; ")}`;
    const whole = { since: "", rest: "", subject: "" };
    return { level: "warn", sign: SIGNS.warn, word: "Works, with trouble", said, ...whole, more: found };
  }
  return { ...worst, sign: SIGNS[worst.level], more };
}

/** The daemon does not answer: `last` is when it did, null where it never has. */
export function gone(program, last, now) {
  const word = last ? `No answer from ${program} since ${clock(last, true)}` : "No answer yet";
  const ago = last ? ` (${lasting(now - last)})` : "";
  const rest = last ? "What is shown below is old. This page goes on asking." : "This page goes on asking.";
  return { level: "gone", sign: SIGNS.gone, word, said: word, since: ago, rest, subject: "", more: [] };
}

export const sign = (level) => SIGNS[level];
