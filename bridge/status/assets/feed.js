// What is asked for again and again, while somebody looks.

import { ask } from "./api.js";

const MISSES = 2; // one lost answer is no outage

/**
 * Asks for `path()` every `seconds` while the tab is seen, and tells `taken(answer)`; after two
 * answers that did not come, `missed(error)`. `now()`: ask at once; `rest()`: not before the next
 * `now()`.
 */
export class Feed {
  constructor(path, seconds, taken, missed = () => {}) {
    Object.assign(this, { path, seconds, taken, missed });
    this.misses = 0;
    this.turn = 0;
    this.timer = null;
    this.wanted = false;
    document.addEventListener("visibilitychange", () => this.look());
  }

  look() {
    if (document.hidden) this.stop();
    else if (this.wanted) this.now();
  }

  rest() {
    this.wanted = false;
    this.stop();
  }

  stop() {
    clearTimeout(this.timer);
    this.turn += 1; // an answer under way is not wanted any more
  }

  async now() {
    this.stop();
    this.wanted = true;
    if (document.hidden) return;
    const turn = this.turn;
    let answer = null;
    let fault = null;
    try {
      answer = await ask(this.path());
    } catch (error) {
      fault = error;
    }
    if (turn !== this.turn) return;
    this.timer = setTimeout(() => this.now(), this.seconds * 1000);
    if (fault === null) {
      this.misses = 0;
      this.taken(answer);
    } else {
      this.misses += 1;
      if (this.misses >= MISSES) this.missed(fault);
    }
  }
}
