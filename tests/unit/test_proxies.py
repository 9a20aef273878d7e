"""What icapd remembers of proxies, and of those that it refuses: a bounded number."""

from __future__ import annotations

from typing import Any

from icapd import proxies
from icapd.proxies import Proxies


def refused(several: Proxies) -> dict[object, Any]:
    return {each["address"]: each["refused"] for each in several.facts()}


def test_a_refusal_is_kept_with_its_reason_cut_and_printable() -> None:
    several = Proxies()
    proxy = several.enter("10.0.0.1")
    (fact,) = several.facts()
    assert (fact["refused"], fact["refusal"]) == (0, None)
    proxy.refuse(405, "first")
    proxy.refuse(404, "\x1b" + "w" * 9999, "a\nb" + "p" * 9999)
    fact = several.facts()[0]
    last: Any = fact["refusal"]
    assert (fact["refused"], last["status"], last["why"][:6]) == (2, 404, "\\x1bww")
    assert last["asked"][:6] == "a\\nbpp"
    assert len(last["why"]) + len(last["asked"]) < 400
    assert (last["why"] + last["asked"]).isprintable()


def test_who_is_let_in_later_keeps_what_was_refused() -> None:
    several = Proxies()
    several.refuse("10.0.0.1", 403, "a stranger")
    assert refused(several) == {"10.0.0.1": 1}
    several.leave(several.enter("10.0.0.1"))
    several.refuse("10.0.0.1", 503, "too many")
    assert refused(several) == {"10.0.0.1": 2}


def test_a_network_of_strangers_fills_no_memory_and_hides_no_proxy() -> None:
    several = Proxies()
    several.enter("10.0.0.1").refuse(404, "none", "x")
    for number in range(5000):
        several.refuse(f"2001:db8::{number:x}", 403, "a stranger")
        several.refuse("10.0.0.9", 403, "a stranger")
    found = refused(several)
    assert len(found) == proxies._MOST_STRANGERS + 1
    assert (found["10.0.0.1"], found["10.0.0.9"]) == (1, 5000)
