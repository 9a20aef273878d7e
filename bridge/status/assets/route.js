// Where the page is, as the part of its address behind `#`. A token is never in it. Pure.

export const FIELDS = [
  "case", "name", "hash", "user", "user_is", "client", "url", "outcome", "decision", "door",
];
const TIMES = ["within", "since", "until"];
export const WITHIN = { "1h": 3600, "24h": 86400, "7d": 604800 };

/** `{view, id, query}` of a hash; what is not known leads to the overview. */
export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const query = new URLSearchParams(search);
  const [, view = "", id = ""] = path.split("/");
  if (view === "history") return { view, id: "", query };
  if (view === "case" && id) return { view, id: decoded(id), query };
  return { view: "", id: "", query };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The hash of a search: its filters that are not empty, in one order. */
export function searchHash(filters) {
  const query = new URLSearchParams();
  for (const key of [...FIELDS, ...TIMES]) if (filters[key]) query.set(key, filters[key]);
  const text = query.toString();
  return text ? `#/history?${text}` : "#/history";
}

export const caseHash = (id) => `#/case/${encodeURIComponent(id)}`;

/** The filters of a hash's query. */
export function filters(query) {
  const found = {};
  for (const key of [...FIELDS, ...TIMES]) if (query.get(key)) found[key] = query.get(key);
  if (!(found.within in WITHIN)) delete found.within;
  return found;
}

/** What the API is asked for: `within` is turned into `since`, by the daemon's clock. */
export function apiQuery(wanted, now, { cursor = null, limit = 50 } = {}) {
  const query = new URLSearchParams();
  for (const key of FIELDS) if (wanted[key]) query.set(key, wanted[key].trim());
  const since = wanted.within ? Math.floor(now - WITHIN[wanted.within]) : wanted.since;
  if (since) query.set("since", since);
  if (wanted.until && !wanted.within) query.set("until", wanted.until);
  query.set("limit", limit);
  if (cursor) query.set("cursor", cursor);
  return query.toString();
}
