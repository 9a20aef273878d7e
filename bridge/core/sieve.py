"""What is not sent to KATA: exclusions, KDS's lists, and types that are not worth a sandbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from bridge.core.exclusions import Exclusions, Facts, left_out, read_kds_list
from bridge.core.formats import HEAD_BYTES
from bridge.core.model import Case, Door, Item, Outcome, OutcomeKind, Source
from bridge.core.settings import Settings

_BLOCK = 1 << 20


class Sieve:
    """The rules of one door. `judge` is asked only where `wants_body`, and needs
    `Case.origin` where `wants_origin`."""

    def __init__(self, settings: Settings, door: Door) -> None:
        """KdsListError where a list cannot be read. Blocks: disk."""
        self._exclusions = [Exclusions(settings.exclusions)]
        if door is Door.FOLDER:
            lists = settings.exclude_lists
            self._exclusions += [Exclusions(read_kds_list(each), each.name) for each in lists]
        self._exclusions = [each for each in self._exclusions if each]
        self._types = settings.submit.types
        some_body = any(each.needs_body for each in self._exclusions)
        self.wants_body = some_body or self._types != "all"
        self.wants_origin = bool(self._exclusions)

    def doubts(self, settings: Settings) -> Iterator[str]:
        """What to say of rules that a stranger can make fit."""
        for number, rule in enumerate(settings.exclusions):
            if rule.enabled and rule.stands_on_forgeable_criteria:
                yield (
                    f"exclusions[{number}] ({rule}) stands on what a stranger can choose: whoever "
                    "knows the rule gets anything past KATA"
                )

    def quick(self, case: Case) -> Outcome | None:
        """By what is known before the body: URL, headers, client, name."""
        if not self._exclusions:
            return None
        return self._match(_facts(case))

    def judge(self, case: Case, item: Item) -> Outcome | None:
        """By the body, too. Blocks: disk."""
        facts = replace(
            _facts(case),
            size=item.size,
            sha256=item.sha256,
            md5=lambda: _md5(item),
            head=lambda: _head(item),
        )
        found = self._match(facts)
        if found is None and self._types != "all":
            kind = facts.format
            rule = kind and left_out(self._types, kind)
            if kind is not None and rule is not None:
                found = _excluded(rule, f"its format is {kind.name} ({kind.group})")
        return found

    def _match(self, facts: Facts) -> Outcome | None:
        for exclusions in self._exclusions:
            rule = exclusions.match(facts)
            if rule is not None:
                return _excluded(rule, f"excluded by {rule}")
        return None


def _excluded(rule: str, detail: str) -> Outcome:
    return Outcome(OutcomeKind.EXCLUDED, Source.RULE, detail, rule=rule)


def _facts(case: Case) -> Facts:
    origin = case.origin
    return Facts(
        (origin.name or "") if case.door is Door.ICAP else case.name,
        url=origin.url,
        content_type=origin.content_type,
        user_agent=origin.user_agent,
        source=origin.source,
    )


def _md5(item: Item) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with item.body.open() as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _head(item: Item) -> bytes:
    with item.body.open() as file:
        return file.read(HEAD_BYTES)
