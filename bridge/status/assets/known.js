// What is known of a content, and a person's word on it. Each change is asked about once more.

import { ask } from "./api.js";
import { outcomeBadge } from "./badge.js";
import { el, foreign, mark } from "./dom.js";
import { lasting, moment, sentence } from "./format.js";
import { RULES } from "./words.js";

const LENGTHS = [
  ["1d", "1 day"], ["7d", "7 days"], ["30d", "30 days"], ["90d", "90 days"], ["365d", "1 year"],
];
const USUAL = "30d";

/** Asks; `yes()` where the answer is yes. */
export function question(heading, sentences, yes) {
  const dialog = el("dialog", { "aria-labelledby": "question" });
  const leave = () => {
    dialog.close();
    dialog.remove();
  };
  const go = () => {
    leave();
    yes();
  };
  dialog.append(
    el("h2", { id: "question" }, heading), ...sentences.map((each) => el("p", {}, each)),
    el("div", { class: "acts" },
      el("button", { type: "button", class: "main", on: { click: go } }, heading.replace("?", "")),
      el("button", { type: "button", autofocus: true, on: { click: leave } }, "Leave it as it is")));
  dialog.addEventListener("cancel", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** The block of a case page. `sha256` null: the bytes never came in whole. */
export class Known {
  constructor(sha256, name, guarded, now) {
    Object.assign(this, { sha256, name, guarded, now });
    this.about = el("div");
    this.notice = el("div", { class: "notice" });
    this.length = el("select", { id: "allow-for" },
      LENGTHS.map(([value, word]) => el("option", { value, selected: value === USUAL }, word)));
    this.forgets = el("button", { type: "button", on: { click: () => this.forget() } }, "Forget");
    this.acts = el("div", { class: "acts" },
      this.forgets,
      el("span", { class: "together" },
        el("button", { type: "button", on: { click: () => this.allow() } }, "Allow for"),
        el("label", { for: "allow-for", class: "unseen" }, "How long"), this.length));
    this.node = el("section", { class: "card known", "aria-labelledby": "known-title" },
      el("h2", { id: "known-title" }, "Known verdict"),
      this.about, sha256 ? this.acts : null, this.notice);
  }

  /** `fault`: why nobody can tell now what is known; a change is refused then with the same words. */
  show(known, fault = null) {
    const now = this.now();
    this.forgets.disabled = known === null && !fault;
    if (!this.sha256) {
      const none = "The bytes never came in whole: there is no verdict to change.";
      this.about.replaceChildren(el("p", {}, none));
    } else if (fault) {
      this.about.replaceChildren(
        el("p", { class: "bad" }, mark("!"), "Not known: ", foreign(sentence(fault))),
        el("p", {}, "There may be a verdict. Forget and Allow work once the store answers again."));
    } else if (known === null) {
      this.about.replaceChildren(el("p", {}, "None: when these bytes come again, KATA is asked."));
    } else {
      const about = [RULES[known.rule] ?? known.rule, known.threat, known.technology].filter(Boolean);
      const until = `until ${moment(known.until, now)} (${lasting(known.until - now)} left)`;
      this.about.replaceChildren(
        el("p", {}, outcomeBadge(known.outcome), about.map((text) => [" · ", foreign(text)])),
        el("p", { class: "soft" }, `Since ${moment(known.since, now)}, ${until}. Until then these bytes `,
          "are answered by it, at both doors, without asking KATA."));
    }
  }

  forget() {
    question("Forget the verdict?", [
      ["What is known of ", foreign(this.name), " is dropped. When these bytes come again, ",
        "KATA judges them anew."],
      "Running daemons follow within five seconds.",
    ], () => this.send({ do: "forget" }));
  }

  allow() {
    const [value, word] = LENGTHS.find(([each]) => each === this.length.value);
    question(`Allow for ${word}?`, [
      ["These bytes are called clean, ", el("strong", {}, "whatever KATA says"), `: for ${word} they `,
        "pass both doors, for everybody and under every name, not only as ", foreign(this.name), "."],
      "Running daemons follow within five seconds. “Forget” ends it.",
    ], () => this.send({ do: "allow", for: value }));
  }

  send(body) {
    return this.guarded(async () => {
      const { known } = await ask(`api/known/${this.sha256}`, { secret: true, body, seconds: 20 });
      this.show(known);
    }, this.notice, () => this.send(body));
  }
}
