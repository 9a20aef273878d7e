// The page: what goes on, which view is shown, who may see it.

import { Refused, signOut, token, whenSigned } from "./api.js";
import { CasePage } from "./case.js";
import { el, foreign, mark, update } from "./dom.js";
import { Feed } from "./feed.js";
import { lasting, zone } from "./format.js";
import { History } from "./history.js";
import { Overview } from "./overview.js";
import { parse } from "./route.js";
import { gone, sign, state } from "./state.js";
import { form, unset } from "./token.js";

const find = (id) => document.getElementById(id);
const page = { live: null, ahead: 0, last: null, view: null, from: "#/history", span: "hour" };

/** The daemon's clock, by what it told last. */
const now = () => Date.now() / 1000 + page.ahead;

// -- the line of state ---------------------------------------------------------------------------

function item({ level, word, since, rest, subject }) {
  return el("li", { class: `is-${level}` },
    mark(sign(level)), el("strong", {}, word), " ", subject ? foreign(subject) : null, since,
    rest ? el("span", { class: "rest" }, " ", foreign(rest)) : null);
}

function say(what) {
  const box = find("state");
  box.className = `state is-${what.level}`;
  update(box, el("p", { class: "headline" },
    el("span", { class: "sign", "aria-hidden": "true" }, what.sign), " ",
    el("strong", {}, what.word), what.subject ? [" ", foreign(what.subject)] : null,
    el("span", { class: "since" }, what.since)),
  what.rest ? el("p", { class: "rest" }, foreign(what.rest)) : null,
  what.more.length ? el("ul", { class: "also" }, what.more.map(item)) : null);
  const ear = find("ear");
  if (ear.textContent !== what.said) ear.textContent = what.said;
  const where = page.live ? ` – ${page.live.program} on ${page.live.node}` : "";
  document.title = `${what.sign} ${what.word}${where}`;
}

function taken(live) {
  page.live = live;
  page.ahead = live.now - Date.now() / 1000;
  page.last = Date.now() / 1000;
  document.body.classList.toggle("is-gone", !live.live);
  say(state(live));
  find("who").replaceChildren(foreign(live.program), " on ", foreign(live.node));
  const running = live.started ? `, running for ${lasting(live.now - live.started)}` : "";
  const times = `Times are in this browser's zone, ${zone()}.`;
  find("foot").textContent = `katabridge ${live.version}${running}. ${times}`;
  overview.live(live);
  first();
}

function missed() {
  document.body.classList.add("is-gone");
  say(gone(page.live?.program ?? "the daemon", page.last, Date.now() / 1000));
  first();
}

// -- what needs the token ------------------------------------------------------------------------

function ask_(notice, again, complaint) {
  const { node, focus } = form(again, complaint);
  notice.replaceChildren(node);
  focus();
}

/** Runs `work`, or `notice` says why not, and a token that is given runs `again`. Whether it ran. */
async function guarded(work, notice, again) {
  notice.replaceChildren();
  if (page.live && !page.live.token_set) notice.replaceChildren(unset());
  else if (!token()) ask_(notice, again, "");
  else {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) {
        signOut();
        ask_(notice, again, "This is not the token of the configuration.");
      } else {
        const retry = el("button", { type: "button", on: { click: again } }, "Try again");
        const why = el("p", { class: "bad" }, mark("!"), foreign(error.message));
        notice.replaceChildren(why, el("p", {}, retry));
      }
    }
  }
  return false;
}

// -- views ---------------------------------------------------------------------------------------

const overview = new Overview((span) => {
  location.hash = span === "day" ? "#/?span=day" : "#/";
});
const history = new History(guarded, now);
const casePage = new CasePage(guarded, now);
const VIEWS = { "": overview, history, case: casePage };

function route({ focus = true } = {}) {
  const { view, id, query } = parse(location.hash);
  const changed = page.view !== view || view === "case";
  page.view = view;
  const shown = VIEWS[view];
  if (!shown.node.isConnected) find("view").replaceChildren(shown.node);
  const part = view === "case" ? "history" : view;
  for (const each of document.querySelectorAll("nav [data-view]")) {
    if (each.dataset.view === part) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  if (changed && focus) {
    window.scrollTo(0, 0);
    shown.node.querySelector("h1").focus({ preventScroll: true });
  }
  if (view !== "") series.rest();
  if (view === "history") {
    page.from = location.hash;
    history.show(query);
  } else if (view === "case") {
    casePage.show(id, page.from);
  } else {
    page.span = query.get("span") === "day" ? "day" : "hour";
    overview.span(page.span);
    if (page.live) series.now();
  }
}

let begun = false;

/** The first view waits for the first answer: what it shows depends on it. */
function first() {
  if (begun) return;
  begun = true;
  route({ focus: false });
  window.addEventListener("hashchange", () => route());
}

whenSigned((signed) => {
  find("signout").hidden = !signed;
});
find("signout").hidden = !token();
find("signout").addEventListener("click", () => {
  signOut();
  history.forget();
  casePage.forget();
  route();
});

const live = new Feed(() => "api/live", 2, taken, missed);
const series = new Feed(() => `api/series?span=${page.span}`, 10,
  (data) => overview.series(data), (fault) => overview.fault(fault.message));
live.now();
