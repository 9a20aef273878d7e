"""Asks an object's facts against all rules. Any doubt is no match, for a match means unscanned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network

from bridge.core.exclusions.facts import Facts
from bridge.core.exclusions.masks import PathMask, compile_mask, host_fits
from bridge.core.exclusions.rules import Rule
from bridge.core.exclusions.urls import DEFAULT_PORTS, Url

Check = Callable[[Facts], bool]


class Exclusions:
    """The rules of a configuration, compiled once. False where no rule is enabled."""

    def __init__(self, rules: Iterable[Rule], key: str = "exclusions") -> None:
        """`key` is where the rules are written; a rule without a label is named by it."""
        enabled = [(i, rule) for i, rule in enumerate(rules) if rule.enabled]
        self._rules = [(rule.label or f"{key}[{i}]: {rule}", _checks(rule)) for i, rule in enabled]
        self.needs_body = any(rule.needs_body for _, rule in enabled)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, facts: Facts) -> str | None:
        """The name of the first enabled rule that fits, for the record.

        Facts without a body match only rules that need none; where `needs_body` is true, ask again
        once it is here. Raises what `facts.head` and `facts.md5` raise.
        """
        for name, checks in self._rules:
            if all(check(facts) for check in checks):
                return name
        return None


def _checks(rule: Rule) -> list[Check]:
    """One check for each criterion, the cheap ones first."""
    found = [*_origin_checks(rule), *_header_checks(rule)]
    found += [_size_check(rule)] if {"larger_than", "smaller_than"} & rule.criteria.keys() else []
    if rule.sha256 is not None:
        found.append(lambda facts: facts.sha256 == rule.sha256)
    if rule.format is not None:
        found.append(lambda facts: facts.format is not None and rule.format in facts.format)
    if rule.md5 is not None:
        found.append(lambda facts: facts.md5_hex == rule.md5)
    return found


def _origin_checks(rule: Rule) -> list[Check]:
    found: list[Check] = []
    if rule.source is not None:
        networks = rule.source
        found.append(lambda facts: _within(facts, networks))
    if rule.host is not None:
        fits = _url_check(rule, rule.host)
        found.append(lambda facts: facts.location is not None and fits(facts.location))
    return found


def _within(facts: Facts, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    address = facts.address
    return address is not None and any(address in network for network in networks)


def _url_check(rule: Rule, host: str) -> Callable[[Url], bool]:
    path = None if rule.path is None else PathMask(rule.path)

    def fits(url: Url) -> bool:
        return (
            host_fits(host, url.host)
            and rule.scheme in (None, url.scheme)
            and url.port == (rule.port or DEFAULT_PORTS[url.scheme])
            and (path is None or path.fits(url.segments))
        )

    return fits


def _header_checks(rule: Rule) -> list[Check]:
    found: list[Check] = []
    if rule.name is not None:
        found.append(_mask_check(rule.name, lambda facts: facts.name))
    if rule.content_type is not None:
        found.append(_mask_check(rule.content_type, lambda facts: facts.media_type))
    if rule.user_agent is not None:
        found.append(_mask_check(rule.user_agent, lambda facts: facts.user_agent))
    return found


def _mask_check(mask: str, value_of: Callable[[Facts], str | None]) -> Check:
    pattern = compile_mask(mask)

    def fits(facts: Facts) -> bool:
        value = value_of(facts)
        return value is not None and value.isprintable() and pattern.match(value) is not None

    return fits


def _size_check(rule: Rule) -> Check:
    low = -1 if rule.larger_than is None else rule.larger_than
    high = rule.smaller_than

    def fits(facts: Facts) -> bool:
        size = facts.size
        return size is not None and low < size and (high is None or size < high)

    return fits
