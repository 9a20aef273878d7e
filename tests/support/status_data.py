"""Invented answers of a status page's API: a day of figures with outages, hostile names."""

from __future__ import annotations

import hashlib
import math
import random
from datetime import UTC, datetime
from typing import Any

from bridge.core import printable

HOUR, DAY = 3600.0, 86400.0
STEPS = {"hour": (10, 360), "day": (300, 288)}  # seconds of a step, steps
OUTCOMES = (
    *("not_detected", "detect", "error", "timeout", "oversize", "excluded"),
    *("unavailable", "pending"),
)
HOSTILE = (
    "<script>document.title='owned'</script>.html",
    '"><img src=x onerror=alert(1)>.pdf',
    "' onmouseover='alert(1)",
    "javascript:alert(1)//.js",
    "report\u202efdp.exe",
    "two\nlines\r\nand\ttabs.txt",
    "\x1b[31mred\x1b[0m.txt",
    "&lt;b&gt;not bold&lt;/b&gt; &amp; co.docx",
    "תשלום-2026.xlsx",
    "x" * 300,
    "Отчёт за квартал (итог) " + "очень-длинное-слово" * 9 + ".docx",
    "",
)
_CALM = ("setup.exe", "invoice-4711.pdf", "photo.jpg", "main.7f3a.js", "update.cab", "notes.docx")
_WEIGHTS = (70, 6, 2, 2, 5, 8, 4, 3)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def stamp(when: float) -> str:
    """A time as records have it."""
    return datetime.fromtimestamp(when, UTC).astimezone().isoformat(timespec="milliseconds")


def outages(now: float, *, away: bool) -> list[dict[str, Any]]:
    """Of the last day, newest first; with `away` KATA is one of them and lasts."""
    told = [
        ("syslog_away", "tls://siem.example:6514", 1500, 1260, "connection refused"),
        ("kata_unreachable", "https://cn2.example", 5 * HOUR, 4.4 * HOUR, "timed out after 10 s"),
        ("bodies_withheld", "10.0.0.7", 9 * HOUR, None, "REQMOD bodies are announced and not sent"),
        ("share_gone", "<b>share</b> \u202eevil", 14 * HOUR, 12 * HOUR, "//nas/in is not mounted"),
        ("kata_unreachable", "https://cn2.example", 20 * HOUR, 19.8 * HOUR, "connection reset"),
    ]
    if away:
        told.insert(
            0, ("kata_unreachable", "https://cn1.example", 47 * 60, None, "no route to host")
        )
        told.insert(
            1, ("kata_unreachable", "https://cn2.example", 47 * 60, None, "no route to host")
        )
    return [
        {
            "kind": kind,
            "subject": printable(subject),
            "begin": now - begin,
            "end": None if end is None else now - end,
            "detail": detail,
        }
        for kind, subject, begin, end, detail in told
    ]


def series(span: str, now: float, *, away: bool = False, empty: bool = False) -> dict[str, Any]:
    """A `/api/series`: a day's wave, KATA away for a while, and nothing known at the beginning."""
    step, length = STEPS[span]
    end = now - now % step
    points = [_point(end - step * (length - 1 - at), now, away) for at in range(length)]
    unknown = range(length) if empty else range(length // 8)  # the daemon ran not yet
    for at in unknown:
        points[at] = dict.fromkeys(points[at])
    for at in range(length // 2, length // 2 + max(2, length // 60)):  # a restart
        points[at] = dict.fromkeys(points[at])
    names = points[-1]
    return {"step": step, "end": end, "series": {each: [p[each] for p in points] for each in names}}


def _point(when: float, now: float, away: bool) -> dict[str, float | None]:
    chance = random.Random(int(when))  # the same each time it is asked for
    wave = 24 + 14 * math.sin((when - now) / DAY * 2 * math.pi) + chance.uniform(-4, 4)
    burst = 20 if 1500 < now - when < 1700 else 0
    down = (away and now - when < 47 * 60) or 5 * HOUR > now - when > 4.6 * HOUR
    rate = max(0.0, wave + burst)
    parts: dict[str, float | None] = dict.fromkeys(OUTCOMES, 0.0)
    parts |= {
        "not_detected": rate * (0.35 if down else 0.86),
        "excluded": rate * 0.08,
        "oversize": rate * 0.02,
        "detect": chance.choice((0, 0, 0, 0.2, 0.5)),
        "pending": rate * 0.03,
        "unavailable": rate * 0.5 if down else 0.0,
        "timeout": 0.3 if burst else 0.0,
        "error": chance.choice((0, 0, 0, 0, 0.1)),
    }
    return {
        "requests": sum(value or 0 for value in parts.values()),
        **parts,
        "p50": None if down else 1.6 + chance.uniform(0, 1) + burst / 4,
        "p95": None if down else 8 + chance.uniform(0, 6) + burst,
        "in_flight": 0.0 if down else round(rate * 1.2),
        "queue": round(burst * 6 + (0 if not down else 12)),
        "descriptors_used": round(180 + rate * 4) / 4096,
        "spool_bytes": round((rate * 9 + burst * 40) * 2**20),
        "kata": 0 if down else 1,
    }


_OWN = {"spool": True, "descriptors": True}


def live(now: float, program: str, scene: str, *, token_set: bool) -> dict[str, Any]:
    """A `/api/live`. Scenes: works, away, not_accepted, bypass, trouble, dead, empty."""
    empty = scene == "empty"
    ok = scene not in ("away", "not_accepted", "empty")
    return {
        "now": now,
        "program": program,
        "version": "0.8.0",
        "node": "gw1",
        "started": now - (5 if empty else 3 * DAY + 4 * HOUR),
        "token_set": token_set,
        "live": scene != "dead",
        "ready": {"kata": ok, "store": scene != "trouble", **_OWN},
        "workers": 4,
        "bypass_until": now + 2 * HOUR + 780 if scene == "bypass" else None,
        "kata": _nodes(now, scene),
        "services": _SERVICES if program == "icapd" else [],
        "proxies": [] if empty or program == "watch" else _proxies(now),
        "folders": _folders(empty) if program == "watch" else [],
        "outages": _outages(now, scene),
        "figures": _figures(empty),
    }


_SERVICES = [
    {"path": "av/reqmod", "method": "REQMOD", "mode": "advanced", "hold": 20.0},
    {"path": "av/respmod", "method": "RESPMOD", "mode": "advanced", "hold": 20.0},
    {"path": "watch/respmod", "method": "RESPMOD", "mode": "monitor", "hold": 0.0},
    {"path": "", "method": "RESPMOD", "mode": "standard", "hold": 5.0},
]


def _outages(now: float, scene: str) -> list[dict[str, Any]]:
    if scene == "empty":
        return []
    found = outages(now, away=scene == "away")
    if scene in ("works", "not_accepted", "bypass"):
        for each in found:
            each["end"] = each["end"] or now - 8 * HOUR
    return found


def _nodes(now: float, scene: str) -> list[dict[str, Any]]:
    states = {
        "away": ("unreachable", "no route to host", 47 * 60),
        "not_accepted": ("not accepted", "401: the system waits for the administrator", 130),
        "empty": ("unknown", "", None),
    }
    state, reason, since = states.get(scene, ("ok", "", 8 * HOUR))
    urls = ("https://cn1.example", "https://cn2.example:8443")
    return [
        {"url": url, "state": state, "reason": reason, "since": since and now - since}
        for url in urls
    ]


def _proxies(now: float) -> list[dict[str, Any]]:
    told: list[tuple[str, int, float | None, float | None, int, int]] = [
        ("10.0.0.5", 34, now - 1900, now - 1, 1_284_551, 0),
        ("10.0.0.7", 2, now - 40, now - 300, 8_204, 312),
        ("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", 0, now - 3 * DAY, None, 0, 0),
    ]
    keys = ("address", "connections", "options", "request", "requests", "withheld")
    found: list[dict[str, Any]] = [dict(zip(keys, each, strict=True)) for each in told]
    why = printable("there is no service 'respmod\u202e<b>' here, only av/reqmod, av/respmod")
    last = {"time": now - 40, "status": 404, "why": why, "asked": printable("respmod\u202e<b>")}
    for each, refused in zip(found, (0, 4812, 1), strict=True):
        each |= {"refused": refused, "refusal": last if refused else None}
    return found


def _folders(empty: bool) -> list[dict[str, Any]]:
    if empty:
        return []
    trouble = printable("//nas/out is read-only: <i>\u202enot written</i>")
    return [
        {
            "name": "share",
            "input": "/srv/share/in",
            "waiting": 3,
            "held": 0,
            "under_way": 2,
            "troubles": [],
        },
        {
            "name": "scanner",
            "input": "/mnt/" + "deep/" * 20 + "in",
            "waiting": 4120,
            "held": 17,
            "under_way": 0,
            "troubles": [trouble, "17 files are held until the target takes files"],
        },
    ]


def _figures(empty: bool) -> dict[str, Any]:
    some = 0 if empty else 1
    cases = (1_204_331, 412, 88, 41, 5_120, 90_233, 2_907, 7_777)
    return {
        "in_flight": 31 * some,
        "queue": 4 * some,
        "connections": 36 * some,
        "fds": 312,
        "descriptors_used": 0.0312,
        "memory_bytes": 412 * 2**20,
        "spool_bytes": 310 * 2**20 * some,
        "spool_max_bytes": 10 * 2**30,
        "cases": {} if empty else dict(zip(OUTCOMES, cases, strict=True)),
        "late_detections": 3 * some,
        "log_lines_waiting": 0,
        "log_lines_lost": 0,
    }


def history(now: float, many: int = 200) -> list[dict[str, Any]]:
    """Records as `log-history.log` has them, newest first, printable; some names mean harm."""
    chance = random.Random(8)
    return [_record(now, at, chance) for at in range(many)]


def _record(now: float, at: int, chance: random.Random) -> dict[str, Any]:
    outcome = "detect" if at == 1 else chance.choices(OUTCOMES, _WEIGHTS)[0]
    name = HOSTILE[at % 16] if at % 16 < len(HOSTILE) else chance.choice(_CALM)
    folder = at % 9 == 4
    when = now - at * 431 - 17
    whole = outcome != "unavailable"
    sha256 = hashlib.sha256(name.encode()).hexdigest() if whole else None
    md5 = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() if whole else None
    threat = "HEUR:Trojan-Downloader.Script.Generic" if outcome == "detect" else None
    context = _folder_context(name) if folder else _icap_context(name, at, chance)
    return {
        "time": stamp(when),
        "case": "".join(_ALPHABET[(at * 7 + each * (each + at // 32)) % 32] for each in range(16)),
        "door": "FOLDER" if folder else "ICAP",
        "name": printable(name),
        "size": chance.randrange(60, 90_000_000) if whole else None,
        "sha256": sha256,
        "md5": md5,
        "outcome": outcome,
        "source": "kata" if outcome in ("not_detected", "detect", "timeout") else "rule",
        "decision": _DECISIONS.get(outcome, "block"),
        "late": False,
        "mode": "blocking_advanced",
        "rule": _RULES.get(outcome),
        "detail": _DETAILS.get(outcome),
        "threat": threat,
        "technology": "Sandbox" if threat else None,
        "importance": "high" if threat else None,
        "scan_id": f"gw1-{at:06d}" if outcome == "detect" else None,
        "waited_ms": chance.randrange(1, 24_000),
        "context": context,
    }


_DECISIONS = {"not_detected": "pass", "oversize": "pass", "excluded": "pass", "pending": "hold"}
_RULES = {"oversize": "kata.max_object_size", "excluded": "<u>*.iso</u>", "unavailable": "withheld"}
_DETAILS = {
    "unavailable": "the proxy withholds the body: its largest message size for ICAP must not be 0",
    "error": "KATA says: processing error",
    "timeout": "no verdict within 600 s",
}


def _icap_context(name: str, at: int, chance: random.Random) -> dict[str, str | None]:
    user = chance.choice(("CORP\\anna", "olga", None, "<img src=x onerror=alert(2)>"))
    return {
        "service": "av/respmod",
        "proxy": "10.0.0.5",
        "client_ip": f"192.168.{at % 4}.{at % 250}" if at % 7 else None,
        "user": user,
        "method": "GET",
        "url": printable(f"https://files.example/{at}/{name}?next=<script>alert(3)</script>"),
    }


def _folder_context(name: str) -> dict[str, str | None]:
    path = printable(f"/srv/share/in/{name}")
    return {"folder": "share", "path": path, "moved_to": path.replace("/in/", "/quarantine/")}


def acts(now: float, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Records of what people did with its file in quarantine, newest first; names mean harm.

    As the daemon writes them: after it was judged anew the file is that case's.
    """
    cases = [f"{number}{record['case'][1:]}" for number in range(3)]
    told = (
        ("released by hand", "detect", "rule", "pass", "/srv/out/<i>a</i>\u202e.pdf", 0.0),
        (None, "detect", "kata", "block", None, 60.0),
        ("<b>bypass</b>", "unavailable", "rule", "hold", None, 120.0),
    )
    return [
        record
        | {
            "time": stamp(now - ago),
            "case": cases[number],
            "door": "FOLDER",
            "rule": rule,
            "outcome": outcome,
            "source": source,
            "decision": decision,
            "context": {
                "folder": "share",
                "path": "/srv/quarantine/a.pdf",
                "moved_to": moved_to and printable(moved_to),
                "by": "<u>ann</u>",
                "quarantined_as": cases[1] if number == 0 else record["case"],
            },
        }
        for number, (rule, outcome, source, decision, moved_to, ago) in enumerate(told)
    ]


def known(now: float, outcome: str = "detect", days: float = 6.0) -> dict[str, Any]:
    """What the verdict store knows of a content."""
    return {
        "outcome": outcome,
        "rule": None if outcome == "detect" else "allowed by hand",
        "threat": "HEUR:Trojan-Downloader.Script.Generic" if outcome == "detect" else None,
        "technology": "Sandbox" if outcome == "detect" else None,
        "since": now - HOUR,
        "until": now + days * DAY,
        "scan_id": "gw1-000001" if outcome == "detect" else None,
        "md5": None,
    }


def log_of(record: dict[str, Any]) -> list[str]:
    """Lines of a service log that name the case."""
    return [
        f"{record['time']} INFO icapd.judging case {record['case']}: {record['name']!r} at KATA",
        f"{record['time']} INFO icapd.answer blocking_advanced mode: verdict {record['outcome']}, "
        f"case {record['case']}, <b>{record['context'].get('url')}</b>",
    ]
