"""What the status page says of several processes, and how harmless it is."""

from __future__ import annotations

from typing import Any

from bridge.core import Outage
from bridge.status.live import harmless, join_outages, merge_facts


def facts(**changes: Any) -> dict[str, Any]:
    ready = dict.fromkeys(("kata", "store", "spool", "descriptors"), True)
    node = {"url": "https://cn", "state": "ok", "reason": "", "since": 5.0}
    return {"started": 10.0, "ready": ready, "bypass_until": None, "kata": [node]} | changes


def proxy(**changes: Any) -> dict[str, Any]:
    base = {"address": "10.0.0.1", "connections": 1, "requests": 5, "withheld": 0}
    last = {"options": None, "request": None, "refused": 0, "refusal": None}
    return base | last | changes


def test_nothing_is_known_is_not_ready() -> None:
    got = merge_facts([])
    assert got["ready"] == dict.fromkeys(("kata", "store", "spool", "descriptors"), False)
    assert got["started"] is None


def test_ready_is_what_one_can_do_with_kata_and_all_with_what_is_their_own() -> None:
    lame = {"kata": False, "store": True, "spool": False, "descriptors": False}
    assert merge_facts([facts(), facts(ready=lame)])["ready"] == {
        "kata": True,
        "store": True,
        "spool": False,
        "descriptors": False,
    }


def test_a_node_is_as_well_as_the_best_worker_finds_it() -> None:
    away = {"url": "https://cn", "state": "unreachable", "reason": "refused", "since": 7.0}
    for order in ((facts(), facts(kata=[away])), (facts(kata=[away]), facts())):
        assert [node["state"] for node in merge_facts(order)["kata"]] == ["ok"]
    later = away | {"since": 9.0}
    both = [facts(kata=[later]), facts(kata=[away])]
    assert merge_facts(both)["kata"][0]["since"] == 7.0
    new = {"url": "https://cn", "state": "unknown", "reason": "", "since": None}
    assert merge_facts([facts(kata=[new])])["kata"] == [new]


def test_proxies_are_summed_by_address_and_the_last_comes_first() -> None:
    one = facts(proxies=[proxy(request=50.0, options=3.0), proxy(address="10.0.0.2")])
    two = facts(proxies=[proxy(request=70.0, withheld=2)])
    first, second = merge_facts([one, two])["proxies"]
    assert first == proxy(connections=2, requests=10, withheld=2, options=3.0, request=70.0)
    assert (second["address"], second["request"]) == ("10.0.0.2", None)


def refusal(time: float, **changes: Any) -> dict[str, Any]:
    return {"time": time, "status": 404, "why": "none", "asked": "x"} | changes


def test_refusals_are_summed_by_address_and_the_last_is_shown() -> None:
    one = facts(proxies=[proxy(refused=2, refusal=refusal(8.0)), proxy(address="10.0.0.2")])
    two = facts(proxies=[proxy(refused=1, refusal=refusal(9.0, status=405)), proxy()])
    stranger = proxy(address="10.0.0.3", refused=1, refusal=refusal(5.0, status=403))
    found = merge_facts([one, two, facts(proxies=[stranger])])["proxies"]
    assert [(each["address"], each["refused"]) for each in found] == [
        *(("10.0.0.1", 3), ("10.0.0.3", 1), ("10.0.0.2", 0)),
    ]
    assert found[0]["refusal"] == refusal(9.0, status=405)
    assert found[2]["refusal"] is None


def test_the_bypass_ends_when_the_last_one_ends() -> None:
    several = [facts(bypass_until=5.0), facts(bypass_until=9.0), facts()]
    assert merge_facts(several)["bypass_until"] == 9.0
    assert merge_facts(several[2:])["bypass_until"] is None


def test_what_lasts_is_told_once_and_also_where_the_log_has_it_not() -> None:
    logged = [
        Outage("kata_unreachable", "https://cn", 50.0, None, "refused"),
        Outage("disk_full", "spool", 10.0, 20.0, "over"),
    ]
    again = {"kind": "disk_full", "subject": "spool", "begin": 60.0, "end": None, "detail": "now"}
    same = logged[0]._asdict() | {"begin": 51.0}
    several = [facts(outages=[same, again]), facts(outages=[again]), facts()]
    assert join_outages(logged, several) == [again, *(each._asdict() for each in logged)]
    assert join_outages([], several) == [again, same]


def test_no_text_is_left_raw() -> None:
    got = harmless({"a\u202e": ["\x1b[31m<b>\n", {"x": ("\udce9", 1, None, True)}]})
    assert got == {"a\\u202e": ["\\x1b[31m<b>\\n", {"x": ["\\udce9", 1, None, True]}]}
