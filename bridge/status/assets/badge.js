// Outcome and decision of a case, short: a sign, a word, and a colour.

import { el, mark } from "./dom.js";
import { DECISIONS, OUTCOMES } from "./words.js";

export function outcomeBadge(code) {
  const { sign, word } = OUTCOMES[code] ?? { sign: "?", word: code };
  const tone = code in OUTCOMES ? code : "excluded";
  return el("span", { class: `badge of-${tone}` }, mark(sign), word);
}

export function decisionBadge(code) {
  const { word } = DECISIONS[code] ?? { word: code };
  return el("span", { class: `did did-${code in DECISIONS ? code : "pass"}` }, word);
}
