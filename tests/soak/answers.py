"""What a user was given, and whether that is right."""

from __future__ import annotations

from enum import StrEnum

from tests.soak.things import Thing


class Answer(StrEnum):
    """`CLEAN`: the bytes, whole. `CUT`: a part of them. `LATER`: a page that says so."""

    CLEAN = "clean"
    BLOCKED = "blocked"
    LATER = "later"
    CUT = "cut"
    ERROR = "error"

    @property
    def is_verdict(self) -> bool:
        """Whether a case with a record stands behind it."""
        return self in (Answer.CLEAN, Answer.BLOCKED)


class Finding(StrEnum):
    """`EXPLAINED`: something was broken on purpose just then. `FAILED`, `WRONG`: never."""

    GOOD = "good"
    EXPLAINED = "explained"
    FAILED = "failed"
    WRONG = "wrong verdict"


def find(thing: Thing, answer: Answer, *, only_watched: bool, explained: bool) -> Finding:
    """Judge an answer. `only_watched`: by a service that passes all; `explained`: see Troubles.

    That KATA is away may keep a clean thing from its user, and never lets a bad one through.
    """
    if answer is Answer.CLEAN:
        return Finding.WRONG if thing.bad and not only_watched else Finding.GOOD
    if only_watched and answer is Answer.BLOCKED:
        return Finding.WRONG
    if thing.bad and answer in (Answer.BLOCKED, Answer.CUT) and not only_watched:
        return Finding.GOOD  # cut: it had begun before its verdict
    if explained:
        return Finding.EXPLAINED
    return Finding.WRONG if answer is Answer.BLOCKED else Finding.FAILED
