// Questions to the daemon behind this page. The token travels in a header, and lives as long as
// the tab.

const KEY = "katabridge.token";
let onSign = () => {};

/** An answer that is none: `status` (0: nobody answered) and a sentence. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export const token = () => sessionStorage.getItem(KEY);

export function signIn(value) {
  sessionStorage.setItem(KEY, value);
  onSign(true);
}

export function signOut() {
  sessionStorage.removeItem(KEY);
  onSign(false);
}

/** Who is told when a token comes or goes. */
export function whenSigned(act) {
  onSign = act;
}

async function sentence(answer) {
  try {
    const { error } = await answer.json();
    if (typeof error === "string") return error;
  } catch {
    // no JSON: the status has to do
  }
  return `The daemon answered ${answer.status}.`;
}

/**
 * The JSON at `path`. `secret`: with the token. `body`: POSTed as JSON. Refused where there is none.
 */
export async function ask(path, { secret = false, body = null, seconds = 6 } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), seconds * 1000);
  const headers = { Accept: "application/json" };
  if (secret && token()) headers.Authorization = `Bearer ${token()}`;
  if (body) headers["Content-Type"] = "application/json";
  const init = { headers, signal: stop.signal, cache: "no-store", credentials: "omit" };
  if (body) Object.assign(init, { method: "POST", body: JSON.stringify(body) });
  try {
    const answer = await fetch(path, init);
    if (!answer.ok) throw new Refused(answer.status, await sentence(answer));
    return await answer.json();
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(0, "The daemon does not answer.");
  } finally {
    clearTimeout(timer);
  }
}
