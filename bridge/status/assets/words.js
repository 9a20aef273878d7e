// The house's terms: what the codes of records and outages mean. Pure.

/** Outcomes, in the order in which a chart stacks them: what needs a look lies at the bottom. */
export const OUTCOMES = {
  detect: { sign: "✕", word: "detected", says: "KATA found a threat in these bytes." },
  error: { sign: "!", word: "error", says: "KATA could not judge it, or it did not arrive whole." },
  timeout: { sign: "!", word: "timeout", says: "There was no verdict in time." },
  unavailable: { sign: "!", word: "unavailable", says: "It could not be judged: see rule and detail." },
  pending: { sign: "…", word: "pending", says: "There was no verdict yet when this was decided." },
  oversize: { sign: "–", word: "oversize", says: "It is too large to be sent; it was not judged." },
  excluded: { sign: "–", word: "excluded", says: "A rule says that it is not judged." },
  not_detected: { sign: "✓", word: "not detected", says: "KATA found nothing in these bytes." },
};

export const DECISIONS = {
  pass: { word: "passed", says: "It was given on." },
  block: { word: "blocked", says: "The user got the block page, or the file went to quarantine." },
  hold: { word: "held", says: "The user was told to wait, or the file stayed in input." },
  skip: { word: "skipped", says: "The file was left in input for good." },
};

export const SOURCES = {
  kata: "KATA judged it for this case",
  known: "the verdict was known already",
  rule: "a rule of katabridge",
};

export const MODES = {
  monitor: "monitor: passes at once, is judged after",
  standard: "standard: held for a moment, then passes; judged on",
  advanced: "advanced: held, then a wait page; nothing passes unjudged",
  blocking_simple: "standard: held for a moment, then passes; judged on",
  blocking_advanced: "advanced: held, then a wait page; nothing passes unjudged",
};

export const RULES = {
  bypass: "kata-bridge bypass was on: everything passed unjudged",
  withheld: "the proxy announced a body and did not send it",
  "cut off": "the client, or the body, was gone before the end",
  range: "a part of an object (HTTP 206) cannot be judged",
  form: "the form could not be taken apart",
  "content-encoding": "the body does not decode",
  "kata.max_object_size": "larger than the configuration lets be sent",
  kata: "larger than KATA takes",
  "allowed by hand": "a person's word on these bytes",
  "released by hand": "a person brought it from quarantine to the output",
  "deleted by hand": "a person removed it from quarantine",
};

/** What people do with a file in quarantine, by the rule of its record. */
export const ACTS = {
  "released by hand": "released from quarantine",
  "deleted by hand": "deleted from quarantine",
};

/** The same of a file that was to be judged anew, by the decision. */
export const RESCANS = {
  pass: "judged anew, and delivered",
  block: "judged anew, and left in quarantine",
  hold: "sent in vain to be judged anew",
};

export const DOORS = { ICAP: "ICAP", FOLDER: "folder" };
export const DOOR_SAYS = { ICAP: "it came through a proxy", FOLDER: "it came through a folder" };

/** Outages: what is so, and what to look at. */
export const OUTAGES = {
  kata_unreachable: {
    word: "KATA takes no files", past: "KATA took no files",
    todo: "Look at the Central Node, the network between, and its certificate.",
  },
  kata_not_accepted: {
    word: "KATA has not accepted this system", past: "KATA had not accepted this system",
    todo: "A KATA administrator accepts it: External systems > Server list > Accept.",
  },
  share_gone: {
    word: "Share is away", past: "Share was away",
    todo: "Mount it again; its files wait there.",
  },
  target_failing: {
    word: "Files cannot be delivered", past: "Files could not be delivered",
    todo: "Look at rights and free space of the target; the files stay in input.",
  },
  disk_full: {
    word: "Disk is full", past: "Disk was full",
    todo: "Make room on the disk of this log or spool.",
  },
  out_of_descriptors: {
    word: "No descriptor is left", past: "No descriptor was left",
    todo: "New connections are cut: raise LimitNOFILE, or lower icap.max_connections.",
  },
  syslog_away: {
    word: "SIEM collector is away", past: "SIEM collector was away",
    todo: "Records wait on disk, up to logs.syslog.queue.",
  },
  webhook_away: {
    word: "Webhook is away", past: "Webhook was away",
    todo: "Its records wait on disk, up to notify.queue.",
  },
  store_failing: {
    word: "Verdict store fails", past: "Verdict store failed",
    todo: "Verdicts are kept in memory meanwhile; look at verdicts.store.",
  },
  bypass_on: {
    word: "Bypass is ON", past: "Bypass was on",
    todo: "Everything passes unjudged; kata-bridge bypass --off ends it.",
  },
  bodies_withheld: {
    word: "Proxy withholds bodies", past: "Proxy withheld bodies",
    todo: "What it withholds cannot be judged: have the proxy send bodies to the ICAP service.",
  },
};

export const outage = (kind) => OUTAGES[kind] ?? { word: kind, past: kind, todo: "" };

/** The keys of a record, with the names people call them by, in the order of reading. */
export const KEYS = [
  ["What", [
    ["name", "Name"], ["size", "Size"], ["sha256", "SHA-256"], ["md5", "MD5"],
  ]],
  ["What was found, what was done", [
    ["outcome", "Outcome"], ["decision", "Decision"], ["source", "Who says so"], ["rule", "Rule"],
    ["detail", "Why"], ["threat", "Threat"], ["technology", "Technology"], ["importance", "Importance"],
    ["mode", "Mode"], ["waited_ms", "Waited"], ["late", "Late"], ["scan_id", "Scan at KATA"],
  ]],
  ["From where", [["time", "Time"], ["case", "Case"], ["door", "Door"]]],
];

export const CONTEXT = {
  service: "ICAP service", proxy: "Proxy", client_ip: "Client", user: "User", method: "Method",
  url: "URL", folder: "Folder", path: "Path", moved_to: "Moved to", by: "Done by",
  quarantined_as: "Case until then",
};
