"""What goes on now, from what the processes of a daemon tell of themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.metrics_core import Metric

from bridge.core import Outage, printable

Facts = Mapping[str, Any]

_BEST_FIRST = ("ok", "unknown", "not accepted", "unreachable")
_FIGURES = {
    "in_flight": "katabridge_in_flight",
    "queue": "katabridge_queue",
    "connections": "katabridge_icap_connections",
    "fds": "process_open_fds",
    "descriptors_used": "katabridge_descriptors_used_ratio",
    "memory_bytes": "process_resident_memory_bytes",
    "spool_bytes": "katabridge_spool_bytes",
    "log_lines_waiting": "katabridge_log_lines_waiting",
    "log_lines_lost": "katabridge_log_lines_lost",
    "late_detections": "katabridge_late_detections_total",
}


def figures_of(families: Iterable[Metric]) -> dict[str, Any]:
    """The figures that the page shows as numbers, and `cases` by outcome."""
    totals: dict[str, float] = {}
    cases: dict[str, float] = {}
    for family in families:
        for name, labels, value, *_ in family.samples:
            totals[name] = totals.get(name, 0.0) + value
            if name == "katabridge_cases_total":
                cases[labels["outcome"]] = cases.get(labels["outcome"], 0.0) + value
    return {name: totals.get(metric, 0.0) for name, metric in _FIGURES.items()} | {"cases": cases}


def merge_facts(several: Sequence[Facts]) -> dict[str, Any]:
    """The facts of all processes as one: sums of what each serves, the best state of each node.

    Ready is what one of them can do with KATA, and all of them with their own disks and
    descriptors: the system deals new connections to all, and would cut the part of those that
    comes to the one without.
    """
    ready = [facts["ready"] for facts in several]
    own = ("store", "spool", "descriptors")
    return {
        "started": min((facts["started"] for facts in several), default=None),
        "ready": {
            "kata": any(each["kata"] for each in ready),
            **{part: bool(ready) and all(each[part] for each in ready) for part in own},
        },
        "workers": len(several),
        "bypass_until": max((f["bypass_until"] or 0 for f in several), default=0) or None,
        "kata": _nodes(several),
        "proxies": _proxies(several),
        "folders": [folder for facts in several for folder in facts.get("folders", ())],
    }


def join_outages(logged: Sequence[Outage], several: Sequence[Facts]) -> list[dict[str, Any]]:
    """What the log of events has, and what processes know to last that it has not: its disk may be
    the one that is full. The newest first."""
    found = [each._asdict() for each in logged]
    known = {(each["kind"], each["subject"]) for each in found if each["end"] is None}
    for each in (each for facts in several for each in facts.get("outages", ())):
        if (each["kind"], each["subject"]) not in known:
            known.add((each["kind"], each["subject"]))
            found.append(each)
    return sorted(found, key=lambda each: float(each["begin"]), reverse=True)


def _nodes(several: Sequence[Facts]) -> list[Facts]:
    best: dict[str, Facts] = {}
    for node in (node for facts in several for node in facts["kata"]):
        there = best.get(node["url"])
        if there is None or _rank(node) < _rank(there):
            best[node["url"]] = node
    return list(best.values())


def _rank(node: Facts) -> tuple[int, float]:
    """The best state first, and of several that agree who knew it first."""
    return _BEST_FIRST.index(node["state"]), node["since"] or float("inf")


def _proxies(several: Sequence[Facts]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for proxy in (proxy for facts in several for proxy in facts.get("proxies", ())):
        there = found.setdefault(proxy["address"], {"address": proxy["address"]})
        for count in ("connections", "requests", "withheld", "refused"):
            there[count] = there.get(count, 0) + proxy[count]
        refusals = filter(None, (there.get("refusal"), proxy["refusal"]))
        there["refusal"] = max(refusals, key=lambda each: each["time"], default=None)
        for moment in ("options", "request"):
            there[moment] = max(there.get(moment) or 0, proxy[moment] or 0) or None
    return sorted(found.values(), key=_last_of, reverse=True)


def _last_of(proxy: Facts) -> tuple[float, float]:
    """What was served comes before what was refused."""
    return proxy["request"] or 0, proxy["refusal"]["time"] if proxy["refusal"] else 0


def harmless(value: Any) -> Any:
    """The same with every text `printable`: the page shows what peers have sent."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): harmless(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(each) for each in value]
    return value
