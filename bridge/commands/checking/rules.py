"""What lets objects by unjudged because somebody wrote it so."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterator

from bridge.commands.checking.line import Line, failed, ok, skipped, warning
from bridge.core import (
    BypassError,
    Decision,
    Door,
    OutcomeKind,
    Settings,
    Sieve,
    door_policy,
    lenient,
    local_time,
    read_bypass,
)

# what passes is judged, or named by a rule that is looked at by itself
_KNOWN = (OutcomeKind.NOT_DETECTED, OutcomeKind.EXCLUDED)


def look_at_rules(settings: Settings, doors: Collection[Door] = tuple(Door)) -> Iterator[Line]:
    """Exclusions, policies, and what the ICAP door lets by, where it is one of `doors`. Pure."""
    yield from _or_ok(_exclusions(settings), "exclusions", "none stands on what a stranger chooses")
    passes = itertools.chain(_policies(settings, doors), _modes(settings, doors))
    yield from _or_ok(passes, "policy", "nothing passes unjudged")
    if Door.ICAP in doors:
        yield from _icap(settings)


def look_at_bypass(settings: Settings) -> Iterator[Line]:
    """The emergency switch. Blocks: disk."""
    try:
        until = read_bypass(settings.spool.dir)
    except BypassError as error:
        yield _unknown_bypass(error)
        return
    open_doors = {door: end for door, end in until.items() if end > time.time()}
    for door, end in open_doors.items():
        yield warning(
            "bypass",
            f"the {door} door passes everything UNJUDGED until {local_time(end)}",
            "kata-bridge bypass --off ends it",
        )
    if not open_doors:
        yield ok("bypass", "it is off")


def _unknown_bypass(error: BypassError) -> Line:
    if isinstance(error.__cause__, PermissionError):  # the service's user may well see it
        return skipped("bypass", f"whether it is on cannot be seen: {error}")
    on_disk = isinstance(error.__cause__, OSError)
    advice = "look at the disk" if on_disk else "kata-bridge bypass --off"
    return failed("bypass", f"{error} It opens nothing", advice)


def _or_ok(lines: Iterator[Line], area: str, sentence: str) -> Iterator[Line]:
    found = list(lines)
    yield from found or [ok(area, sentence)]


def _exclusions(settings: Settings) -> Iterator[Line]:
    narrow = "add a criterion that a stranger cannot choose: host with scheme https, or source"
    for doubt in Sieve(settings, Door.ICAP).doubts(settings):
        yield warning("exclusions", doubt, narrow)
    for path in settings.exclude_lists:
        sentence = f"exclude_lists ({path}) goes by file names, which whoever drops a file chooses"
        yield warning("exclusions", sentence, "use exclusions by sha256, or keep the list short")
    if settings.submit.types != "all":
        kinds = ", ".join(settings.submit.types)
        sentence = f"submit.types sends to KATA only what looks like {kinds}; the rest is excluded"
        yield warning("exclusions", sentence, "submit.types: all sends everything")


def _policies(settings: Settings, doors: Collection[Door]) -> Iterator[Line]:
    policies = [(Door.ICAP, settings.icap.policy, "icap.policy")]
    if settings.folders:
        policies.append((Door.FOLDER, settings.folder_policy, "folder_policy"))
    for door, own, key in policies:
        if door not in doors:
            continue
        policy = door_policy(door, settings.policy, own)
        passes = [kind for kind in OutcomeKind if policy[kind] is Decision.PASS]
        by_word = lenient(door, policy)
        unjudged = [kind for kind in passes if kind not in _KNOWN or kind in by_word]
        if unjudged:
            kinds = ", ".join(unjudged)
            advice = f"write {key}: {{{', '.join(f'{kind}: block' for kind in unjudged)}}}"
            yield warning(
                "policy", f"the {door} door passes what is {kinds}", f"{advice} to block it"
            )


def _modes(settings: Settings, doors: Collection[Door]) -> Iterator[Line]:
    """Services that do not wait for a verdict to the end. A folder always does."""
    services = settings.icap.services if Door.ICAP in doors else {}
    for path, service in services.items():
        if service.mode == "advanced":
            continue
        passes = "everything passes at once, and is judged after"
        if service.mode == "standard":
            hold = f"{service.hold_seconds:g} s"
            passes = f"what has no verdict within {hold} passes, and is judged on"
        yield warning(
            "policy",
            f"{path} is in mode {service.mode}: {passes}",
            f"icap.services.{path}.mode: advanced holds what has no verdict (docs/modes.md)",
        )


def _icap(settings: Settings) -> Iterator[Line]:
    icap = settings.icap
    if icap.transfer.ignore:
        names = ", ".join(icap.transfer.ignore)
        yield warning(
            "policy",
            f"icap.transfer.ignore: proxies send no file named like {names}, whatever it is",
            "take the list out, unless a proxy cannot bear their load",
        )
    if icap.ranges == "pass":
        sentence = "icap.ranges is pass: a threat that is fetched in parts is found in none"
        yield warning("policy", sentence, "icap.ranges: strip")
    if any(network.prefixlen == 0 for network in icap.allow_from):
        yield warning(
            "policy",
            "icap.allow_from lets everybody ask, and see what is known of a content",
            "list the proxies' addresses",
        )
