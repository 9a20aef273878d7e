// What is connected and what it does: services, proxies, folders, figures. Nodes of a `/api/live`.

import { el, foreign, mark } from "./dom.js";
import { ago, bytes, count, lasting, percent, plural, span } from "./format.js";
import { MODES, OUTCOMES } from "./words.js";

const term = (word, ...value) => el("div", {}, el("dt", {}, word), el("dd", {}, ...value));

function block(id, title, note, ...content) {
  return el("section", { class: "block", "data-key": id, "aria-labelledby": `block-${id}` },
    el("h2", { id: `block-${id}` }, title, note ? el("span", { class: "soft" }, ` ${note}`) : null), content);
}

const STATES = {
  ok: ["✓", "takes files"], unknown: ["?", "not asked yet"],
  "not accepted": ["!", "has not accepted this system"], unreachable: ["✕", "takes no files"],
};

function nodes(live) {
  return block("kata", "Central Nodes", "", el("ul", { class: "rows" }, live.kata.map((each) => {
    const [sign, word] = STATES[each.state] ?? ["?", each.state];
    const since = each.since ? ` for ${lasting(live.now - each.since)}` : "";
    const bad = each.state === "ok" ? "good" : each.state === "unknown" ? "" : "bad";
    return el("li", { "data-key": each.url },
      foreign(each.url, { class: "foreign main" }),
      el("p", { class: bad }, mark(sign), `${word}${since}`),
      each.reason && each.state !== "ok" ? el("p", { class: "soft" }, foreign(each.reason)) : null);
  })));
}

function services(live) {
  if (!live.services.length) return null;
  return block("services", "Services", "", el("ul", { class: "rows" }, live.services.map((each) => {
    const path = each.path ? `/${each.path}`.replace("//", "/") : "/ (no path)";
    const hold = each.mode === "monitor" ? "" : ` · hold ${span(each.hold)}`;
    return el("li", { "data-key": each.path },
      foreign(path, { class: "foreign main" }), " ",
      el("span", { class: "soft" }, `${each.method} · ${each.mode}${hold}`),
      el("p", { class: "soft" }, MODES[each.mode]?.split(": ")[1] ?? ""));
  })));
}

function withheld(proxy) {
  if (!proxy.withheld) return null;
  return el("p", { class: "bad" }, mark("!"), `withheld ${plural(proxy.withheld, "body", "bodies")}. `,
    el("span", { class: "soft" },
      "They are announced and not sent, and cannot be judged: let the proxy send bodies to the ICAP ",
      "service (its largest message size must not be 0)."));
}

const REFUSED = {
  403: "It is not in icap.allow_from: add it there if it is a proxy.",
  404: "Let the proxy ask for one of the services of this page.",
};

function refused(proxy, live) {
  const last = proxy.refusal;
  if (!last) return null;
  const status = last.status ? ` (${last.status})` : "";
  return el("p", { class: "bad" }, mark("!"),
    `refused ${plural(proxy.refused, "time", "times")}, last ${ago(last.time, live.now)}${status}: `,
    foreign(last.why.replace(/\.$/, "")), ". ", el("span", { class: "soft" }, REFUSED[last.status] ?? ""));
}

function proxies(live) {
  if (live.program === "watch") return null;
  const list = live.proxies;
  const none = el("p", { class: "soft" },
    "No proxy has come since the start. Is its address in icap.allow_from, and does it point here?");
  const rows = list.map((each) => el("li", { "data-key": each.address },
    foreign(each.address, { class: "foreign main" }),
    el("dl", { class: "facts" },
      term("last request", ago(each.request, live.now)),
      term("last OPTIONS", ago(each.options, live.now)),
      term("requests", count(each.requests)), term("connections", count(each.connections))),
    withheld(each), refused(each, live)));
  const number = list.length ? plural(list.length, "address", "addresses") : "";
  return block("proxies", "Proxies", number, list.length ? el("ul", { class: "rows" }, rows) : none);
}

function folders(live) {
  if (live.program !== "watch" && !live.folders.length) return null;
  const none = el("p", { class: "soft" }, "No folder is configured (folders).");
  const rows = live.folders.map((each) => el("li", { "data-key": each.name },
    foreign(each.name, { class: "foreign main" }), " ", foreign(each.input, { class: "foreign soft" }),
    el("dl", { class: "facts" },
      term("waiting", count(each.waiting)), term("under way", count(each.under_way)),
      term("held", count(each.held))),
    each.troubles.map((trouble) => el("p", { class: "bad" }, mark("!"), foreign(trouble)))));
  return block("folders", "Folders", "", live.folders.length ? el("ul", { class: "rows" }, rows) : none);
}

function cases(live) {
  const counted = live.figures.cases ?? {};
  const all = Object.values(counted).reduce((sum, each) => sum + each, 0);
  const rows = Object.keys(OUTCOMES).reverse().map((kind) => {
    const { sign, word } = OUTCOMES[kind];
    return el("div", { "data-key": kind, class: kind === "detect" && counted[kind] ? "bad" : "" },
      el("dt", {}, mark(sign), el("a", { href: `#/history?outcome=${kind}` }, word)),
      el("dd", {}, count(counted[kind] ?? 0)));
  });
  const late = live.figures.late_detections;
  return block("cases", "Cases", live.started ? `${count(all)} in ${lasting(live.now - live.started)}` : "",
    el("dl", { class: "sums" }, rows,
      late
        ? el("div", { class: "bad" },
          el("dt", {}, mark("✕"), "found after they had passed"), el("dd", {}, count(late)))
        : null));
}

function figures(live) {
  const f = live.figures;
  const part = f.spool_max_bytes ? ` (${percent(f.spool_bytes / f.spool_max_bytes)})` : "";
  return block("figures", "Now", "", el("dl", { class: "sums" },
    term("at KATA", count(f.in_flight)), term("waiting for KATA", count(f.queue)),
    live.program === "watch" ? null : term("connections", count(f.connections)),
    term("processes", count(live.workers)),
    term("descriptors", `${count(f.fds)}, ${percent(f.descriptors_used)} used`),
    term("memory", bytes(f.memory_bytes)),
    term("spool", `${bytes(f.spool_bytes)} of ${bytes(f.spool_max_bytes)}${part}`),
    f.log_lines_waiting || f.log_lines_lost
      ? term("log lines", `${count(f.log_lines_waiting)} waiting, ${count(f.log_lines_lost)} lost`) : null));
}

/** Everything beside the charts. */
export const tables = (live) =>
  [nodes, proxies, folders, services, cases, figures].map((part) => part(live));
