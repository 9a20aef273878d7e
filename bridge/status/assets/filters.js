// The form of a search.

import { el } from "./dom.js";
import { clock } from "./format.js";
import { DECISIONS, DOORS, OUTCOMES } from "./words.js";

const TEXTS = [
  ["case", "Case", "number of a block page"],
  ["name", "Name", "contains"], ["url", "URL", "contains"], ["user", "User", "contains"],
  ["client", "Client", "IP or CIDR"], ["hash", "Hash", "SHA-256, its beginning, or MD5"],
];
const CHOICES = [
  ["outcome", "Outcome", Object.entries(OUTCOMES).reverse().map(([code, { word }]) => [code, word])],
  ["decision", "Decision", Object.entries(DECISIONS).map(([code, { word }]) => [code, word])],
  ["door", "Door", Object.entries(DOORS)],
];
const SPANS = [["", "any time"], ["1h", "1 h"], ["24h", "24 h"], ["7d", "7 d"], ["between", "between"]];

const MINUTE = 60; // seconds; the fields know nothing finer

const two = (number) => String(number).padStart(2, "0");

/** What a field for date and time holds, of epoch seconds. */
function local(time) {
  if (!time || Number.isNaN(Number(time))) return "";
  const date = new Date(time * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${clock(time)}`;
}

function epoch(text) {
  const time = Date.parse(text); // without a zone: the browser's
  return Number.isNaN(time) ? "" : String(time / 1000);
}

/** The last minute that is in, of the end of a search, which is out; and that end again. */
const lastMinute = (until) => local(Math.ceil(Number(until) / MINUTE) * MINUTE - MINUTE);
const endOf = (text) => (epoch(text) ? String(Number(epoch(text)) + MINUTE) : "");

const field = (label, id, ...controls) =>
  el("div", { class: `field field-${id}` }, el("label", { for: `f-${id}` }, label), controls);

const text = (key, hint) => el("input", {
  type: "text", id: `f-${key}`, name: key, placeholder: hint, autocomplete: "off", spellcheck: "false",
  dir: "auto",
});

const select = (key, options) => el("select", { id: `f-${key}`, name: key },
  el("option", { value: "" }, "any"), options.map(([value, word]) => el("option", { value }, word)));

const radio = (value) =>
  el("input", { type: "radio", name: "span", value, id: `f-span-${value || "any"}` });

/** The form; `go(filters)` when it is sent. `set(filters)` fills it. */
export class Filters {
  constructor(go) {
    this.inputs = {};
    for (const [key, , hint] of TEXTS) this.inputs[key] = text(key, hint);
    for (const [key, , options] of CHOICES) this.inputs[key] = select(key, options);
    for (const key of ["since", "until"]) {
      this.inputs[key] = el("input", { type: "datetime-local", id: `f-${key}`, name: key });
    }
    this.whole = el("input", { type: "checkbox", id: "f-whole" });
    this.exactly = el("label", { class: "exactly", for: "f-whole", hidden: true },
      this.whole, " the whole name");
    this.radios = SPANS.map(([value]) => radio(value));
    this.between = el("div", { class: "between" },
      field("Since", "since", this.inputs.since), field("Until", "until", this.inputs.until));
    const submit = (event) => {
      event.preventDefault();
      go(this.read());
    };
    const quick = () => {
      this.showBetween();
      if (this.chosen() !== "between") go(this.read());
    };
    this.node = el("form", { class: "filters", role: "search", "aria-label": "Cases", on: { submit } },
      el("div", { class: "fields" },
        TEXTS.map(([key, label]) =>
          field(label, key, this.inputs[key], key === "user" ? this.exactly : null)),
        CHOICES.map(([key, label]) => field(label, key, this.inputs[key]))),
      el("div", { class: "foot" },
        el("fieldset", { class: "choice", on: { change: quick } }, el("legend", { class: "unseen" }, "Time"),
          SPANS.map(([, word], at) => [this.radios[at], el("label", { for: this.radios[at].id }, word)])),
        this.between,
        el("span", { class: "acts" },
          el("button", { type: "submit", class: "main" }, "Search"),
          el("button", { type: "button", on: { click: () => go({}) } }, "Clear"))));
  }

  chosen() {
    return this.radios.find((radio) => radio.checked)?.value ?? "";
  }

  showBetween() {
    this.between.hidden = this.chosen() !== "between";
  }

  read() {
    const found = {};
    for (const [key] of [...TEXTS, ...CHOICES]) found[key] = this.inputs[key].value.trim();
    if (this.whole.checked) [found.user, found.user_is] = ["", found.user];
    const span = this.chosen();
    if (span === "between") {
      found.since = epoch(this.inputs.since.value);
      found.until = endOf(this.inputs.until.value);
    } else if (span) found.within = span;
    return found;
  }

  set(filters) {
    for (const [key] of [...TEXTS, ...CHOICES]) this.inputs[key].value = filters[key] ?? "";
    if (filters.user_is) this.inputs.user.value = filters.user_is;
    this.whole.checked = Boolean(filters.user_is);
    this.exactly.hidden = !filters.user_is; // who types searches for a part, a link may not
    this.inputs.since.value = local(filters.since);
    this.inputs.until.value = filters.until ? lastMinute(filters.until) : "";
    const span = filters.within ?? (filters.since || filters.until ? "between" : "");
    for (const radio of this.radios) radio.checked = radio.value === span;
    this.showBetween();
  }
}
