"""The dashboard and the alerts under examples/grafana, against the metrics that really exist."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from bridge.core import Case, Core, Decision, Door, Mode, OutageKind, Outcome, OutcomeKind, Source
from bridge.core.ledger import Entry
from bridge.core.tally import Tally
from bridge.folder.folders import Folders
from icapd.access import Reason
from icapd.figures import Figures
from icapd.workers.figures import SupervisionFigures
from icapd.workers.supervision import Supervision
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.promql import Query, QueryError, read_query

EXAMPLES = Path(__file__).parents[2] / "examples" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((EXAMPLES / "katabridge.json").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((EXAMPLES / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
_COMMANDS = {path.stem for path in (EXAMPLES.parents[1] / "bridge" / "commands").glob("*.py")}
README = (EXAMPLES / "README.md").read_text()

# of Prometheus itself: what it adds to each sample, and the metric of its own
ADDED = {"job", "instance"}
PROMETHEUS = {"up": ADDED}

VALUES: dict[str, set[str]] = {
    "outcome": set(OutcomeKind),
    "source": set(Source),
    "decision": set(Decision),
    "door": set(Door),
    "reason": {reason.value for reason in Reason},
    "job": {"katabridge"},
    "kind": set(OutageKind),
}


def labels_of(registry: CollectorRegistry) -> dict[str, set[str]]:
    """The labels of every metric of a registry; of a tally before it was raised, too."""
    found: dict[str, set[str]] = {}
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update({*sample.labels, *ADDED})
    for collector in list(registry._collector_to_names):
        if isinstance(collector, Tally):
            found[f"{collector._name}_total"] = {*collector._labels, *ADDED}
    return found


async def figures(site: Site, door: Door) -> dict[str, set[str]]:
    """What a daemon has for /metrics, by its own parts."""
    async with Core(site.settings(), door) as core:
        core.reporter.add_gauges()
        core.metrics.registry.register(core.events)
        core.reloader()
        case = Case(door, Mode.ADVANCED, "a", {})
        clean = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)
        core.metrics.count_case(Entry(case, None, clean, Decision.PASS))
        core.metrics.count_request("submit", 200)
        if door is Door.ICAP:
            Figures(core.metrics, lambda: 0)
            core.metrics.registry.register(SupervisionFigures(Supervision(2, [])))
        else:
            Folders(core)
        return labels_of(core.metrics.registry)


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every metric that there is, with its labels."""
    directory = tmp_path_factory.mktemp("site")
    put_certificate(directory / "client.pem", directory / "client.key")
    site = Site(directory, "https://127.0.0.1:1", directory / "client.pem")
    found = dict(PROMETHEUS)
    for door in Door:
        found |= asyncio.run(figures(site, door))
    return found


def dashboard_queries() -> list[str]:
    found = []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            found.append(target["expr"].replace("$__rate_interval", "5m"))
    return found


QUERIES = [*dashboard_queries(), *(str(rule["expr"]) for rule in RULES)]


def wrong_with(query: Query, existing: dict[str, set[str]]) -> Iterator[str]:
    """Each metric, label and value that there is not."""
    known: set[str] = set()
    for name, matched in query.metrics:
        if name not in existing:
            yield f"there is no metric {name}"
            continue
        known |= existing[name]
        for label, values in matched.items():
            if label not in existing[name]:
                yield f"{name} has no label {label}"
            wanted = {*values.split("|")} - {"$instance"}
            real = VALUES.get(label, wanted)
            if not all(any(re.fullmatch(each, one) for one in real) for each in wanted):
                yield f"{label} is never {values}"
    yield from (f"nothing has the label {label}" for label in sorted(query.grouped - known))


@pytest.mark.parametrize("text", QUERIES)
def test_a_query_names_only_what_there_is(text: str, existing: dict[str, set[str]]) -> None:
    assert list(wrong_with(read_query(text), existing)) == []


def test_the_page_of_keys_lists_every_metric_with_its_labels(existing: dict[str, set[str]]) -> None:
    page = (EXAMPLES.parents[1] / "docs" / "configuration.md").read_text()
    listed = {
        name: {*labels.split(",")} - {""}
        for name, labels in re.findall(r"`(katabridge_[a-z_]+)(?:\{([a-z,]+)\})?`", page)
    }
    real: dict[str, set[str]] = {}
    for name, labels in existing.items():
        if name.startswith("katabridge_") and not name.endswith("_created"):
            family = re.sub(r"_(?:bucket|count|sum)$", "", name)
            real.setdefault(family, set()).update(labels - ADDED - {"le"})
    assert listed == real


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("katabridge_case_total", "there is no metric katabridge_case_total"),
        ('katabridge_cases_total{result="detect"}', "katabridge_cases_total has no label result"),
        ('katabridge_cases_total{outcome="unavailble"}', "outcome is never unavailble"),
        ("sum by (worker) (katabridge_queue)", "nothing has the label worker"),
        ('up{job="kata"}', "job is never kata"),
    ],
)
def test_what_there_is_not_is_found(text: str, fault: str, existing: dict[str, set[str]]) -> None:
    assert list(wrong_with(read_query(text), existing)) == [fault]


@pytest.mark.parametrize(
    "text",
    [
        "sum(up",
        "sum(up))",
        'up{job="a}',
        "up{job=a}",
        "rate(up)",
        "rate(up[5])",
        "rate(up[5m)",
        "up > ",
        "> up",
        "up up",
        "up{job!}",
        "sum by instance (up)",
        "rte(up[5m])",
        "up[5m",
        "up & up",
    ],
)
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        read_query(text)


def test_every_metric_of_ours_is_shown_or_watched(existing: dict[str, set[str]]) -> None:
    used = {name for text in QUERIES for name, _ in read_query(text).metrics}
    ours = {name for name in existing if name.startswith("katabridge_")}
    ours = {name for name in ours if not name.endswith(("_created", "_sum", "_count"))}
    assert ours - used == set()


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_to_do(rule: dict[str, Any], existing: dict[str, set[str]]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert re.fullmatch(r"[0-9]+[smh]", rule.get("for", "0s"))
    said = rule["annotations"]
    assert set(said) == {"summary", "description"}
    assert 20 < len(said["summary"]) < 120
    assert len(said["description"].split(". ")) >= 2  # what it means, and what to do
    words = "Look|Run|Raise|Make|See|see|Bring|end it|says? what to do|have the SIEM|says which"
    assert re.search(words, said["description"]), said["description"]
    labels = set().union(*(existing[name] for name, _ in read_query(rule["expr"]).metrics))
    grouped = read_query(rule["expr"]).grouped or labels
    for text in said.values():
        assert text.count("{{") == text.count("}}")
        for name in re.findall(r"\$labels\.(\w+)", text):
            assert name in grouped, name
    assert f"`{rule['alert']}`" in README


# kinds of outages that have a metric of their own, which an alert goes by
TOLD_BY = {
    OutageKind.BYPASS_ON: "katabridge_bypass",
    OutageKind.SYSLOG_AWAY: "katabridge_syslog_lines_waiting",
    OutageKind.WEBHOOK_AWAY: "katabridge_notify_waiting",
}


def kinds_of(rule: dict[str, Any]) -> set[str]:
    """The kinds of outages that a rule is about."""
    found: set[str] = set()
    for sign, values in re.findall(r'kind(=|=~|!~)"([^"]+)"', rule["expr"]):
        named = set(values.split("|"))
        found |= set(OutageKind) - named if sign == "!~" else named
    for name, _ in read_query(rule["expr"]).metrics:
        found |= {kind for kind, metric in TOLD_BY.items() if metric == name}
    return found


def test_every_kind_of_outage_has_an_alert() -> None:
    assert set().union(*map(kinds_of, RULES)) == set(OutageKind)


def test_the_page_names_no_other_alert() -> None:
    named = set(re.findall(r"`(Katabridge\w+)`", README))
    assert named == {rule["alert"] for rule in RULES}
    assert len(RULES) == len(named)


def test_commands_and_keys_in_alerts_exist() -> None:
    text = (EXAMPLES / "alerts.yaml").read_text()
    soon = {"check", "history", "detects"}
    for command in re.findall(r"`kata-bridge ([a-z]+)", text):
        assert command in soon or command in _COMMANDS, command
    configuration = (EXAMPLES.parents[1] / "docs" / "configuration.md").read_text()
    keys = re.findall(r"\b((?:icap|spool|logs|notify|submit|kata)\.[a-z_.]+[a-z])\b", text)
    assert len(keys) >= 8
    for key in keys:
        assert key in configuration, key


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert DASHBOARD["schemaVersion"] >= 38  # Grafana 10
    names = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert {"DS_PROMETHEUS", "instance"} == names
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) >= 25
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies upon another"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["description"]
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) >= 1
        for target in panel["targets"]:
            grouped = read_query(target["expr"].replace("$__rate_interval", "5m")).grouped
            for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert name in grouped or not grouped, name
